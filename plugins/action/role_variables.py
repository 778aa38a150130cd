# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the variables of the role that it stands in. It runs in Ansible's own process and takes milliseconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment import input_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.roles import role_problems

COLLECTION = "mlops.mlflow_aws"
# The role that composes the others.
FRONT_DOOR = "mlflow"
# Of the playbooks, for which there is no argument specification.
PLAYBOOK_VARIABLES = frozenset(
    {
        "mlflow_environment",
        "mlflow_hosts",
        "mlflow_policies_account",
        "mlflow_policies_listener_rule_arn",
        "mlflow_policies_partition",
        "mlflow_policies_path",
        "mlflow_policies_region",
    }
)


Problem = tuple[str, str]


class ActionModule(ActionBase):
    """Fails with a sentence for each mistake."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables: dict[str, Any] = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        self.validate_argument_spec(argument_spec={})
        result["changed"] = False
        # The front door has looked at everything before anything was made.
        if f"{COLLECTION}.{FRONT_DOOR}" in (variables.get("ansible_parent_role_names") or []):
            return result
        if problems := list(self._problems(variables)):
            # Without the source, which Ansible would show: in a misspelt variable there may be a secret.
            raise AnsibleActionFail(" ".join(sentence for _name, sentence in problems))
        return result

    def _problems(self, variables: dict[str, Any]) -> Iterator[Problem]:
        """Yield the name of each variable that is wrong, with a sentence."""
        given = "\n".join(str(one) for one in context.CLIARGS.get("extra_vars") or ())
        path = Path(variables["role_path"])
        role = path.name
        for other in _roles(path):
            options, facts = _interface(path.parent / other)
            values, unknown = self._values({name: variables[name] for name in options if name in variables})
            yield from unknown.items()
            yield from specification.name_problems(
                variables,
                other,
                known=PLAYBOOK_VARIABLES.union(options, facts),
                settable=options,
                exceptions=self._exceptions(variables, role),
                declared_in=f"{role}_known_variables",
                misspelt_only=other != role,
                on_command_line=lambda name: re.search(rf"(?<![\w-]){re.escape(name)}\W", given) is not None,
            )
            # A role's default may be a variable of the front door's, which is then the one that the user has set.
            values = {name: value for name, value in values.items() if not _stands_for(name, variables)}
            wrong = dict(specification.type_problems(values, options))
            # They say more than that a type is wrong.
            told = list(_beyond_types(values, options, wrong, input_problems if other == FRONT_DOOR else role_problems))
            yield from told
            yield from ((name, sentence) for name, sentence in wrong.items() if name not in dict(told))

    def _values(self, templates: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what the variables hold, and for those that cannot be told, a sentence."""
        values: dict[str, Any] = {}
        unknown: dict[str, str] = {}
        for name, template in templates.items():
            try:
                # Not the bare value: one that is omit drops out of a dictionary.
                values |= self._templar.template({name: template})
            except AnsibleError as error:
                unknown[name] = f"{name} cannot be evaluated: {str(error).rstrip('.')}."
        return values, unknown

    def _exceptions(self, variables: dict[str, Any], role: str) -> list[str]:
        """The names that the user has declared to be his own."""
        names = [f"{one}_known_variables" for one in sorted({role, FRONT_DOOR})]
        given, _unknown = self._values({name: variables[name] for name in names if name in variables})
        found: list[str] = []
        for name, value in given.items():
            # A wrong one is reported as such.
            if not specification.type_problem(name, value, {"type": "list", "elements": "str"}):
                found += specification.as_type(value, "list")
        return found


def _roles(path: Path) -> list[str]:
    """The role itself, then those whose variables it takes defaults from or composes."""
    if path.name != FRONT_DOOR:
        return [path.name, FRONT_DOOR]
    others = sorted(spec.parents[1].name for spec in path.parent.glob("*/meta/argument_specs.yml"))
    return [FRONT_DOOR, *(one for one in others if one != FRONT_DOOR)]


def _interface(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read a role's options, and the names of the facts that it keeps."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    specification = yaml.load((path / "meta" / "argument_specs.yml").read_bytes(), Loader=loader)
    facts = yaml.load((path / "meta" / "facts.yml").read_bytes(), Loader=loader)
    return specification["argument_specs"]["main"]["options"], list(facts["facts"])


def _stands_for(name: str, variables: dict[str, Any]) -> bool:
    """Whether a role's variable is one of the front door's, which is looked at by its own name."""
    template = variables[name]
    if name.startswith(f"{FRONT_DOOR}_") or not isinstance(template, str):
        return False
    found = re.fullmatch(r"\{\{ (mlflow_\w+)( \| default\([^()]*\))? \}\}", template)
    return found is not None and found[1] in variables


def _beyond_types(
    values: dict[str, Any],
    options: dict[str, Any],
    wrong: Collection[str],
    check: Callable[[dict[str, Any]], list[str]],
) -> Iterator[Problem]:
    """What is wrong with the variables of a deployment or of a role, beyond their types."""
    whole = {
        name: specification.as_type(value, options[name]["type"])
        for name, value in values.items()
        if options[name]["type"] in ("list", "dict") and name not in wrong
    }
    for sentence in check({**values, **whole}):
        yield re.split(r"\W", sentence, maxsplit=1)[0], sentence
