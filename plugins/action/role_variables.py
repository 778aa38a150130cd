# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of the role that the task is in. It runs in Ansible's own process and takes milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import sentences
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import fingerprint
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment import input_warnings
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment import rule_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment import unbroken
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.roles import role_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.unknown_names import name_problems

COLLECTION = "mlops.mlflow_aws"
# The role that composes the others.
MAIN_ROLE = "mlflow"
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
_FOUND = {
    "type": "list",
    "elements": "dict",
    "options": {
        "variable": {"type": "str", "required": True},
        "reason": {"type": "str", "required": True},
        "remedy": {"type": "str", "default": ""},
        "subject": {"type": "str", "default": ""},
    },
}
_OPTIONS = {
    "context": {"type": "dict"},
    "violations": _FOUND,
    "warnings": _FOUND,
    "ignore_in_check_mode": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Fails with a sentence for each violation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables: dict[str, Any] = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _validation, options = self.validate_argument_spec(argument_spec=_OPTIONS)
        result["changed"] = False
        doubtful: list[Violation] = []
        if options["ignore_in_check_mode"] and self._task.check_mode:
            return result
        if options["violations"] is not None:
            names = _names_of_the_caller(variables)
            found, doubtful = (
                [Violation(**one).named(names) for one in options[name] or ()] for name in ("violations", "warnings")
            )
        elif _parents(variables):
            # The role mlflow has checked everything before anything was created.
            return result
        else:
            known: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
            found = list(self._violations(variables, options["context"] or {}, known))
            # Once, and where something is about to be deployed.
            if not found and options["context"] and Path(variables["role_path"]).name == MAIN_ROLE:
                doubtful = input_warnings(known[MAIN_ROLE][0])
                result |= _fingerprint(known, _scope(options["context"]))
        if found:
            # Without the source, which Ansible would show: in a misspelt variable there may be a secret.
            raise AnsibleActionFail(sentences(found))
        if doubtful:
            # Shown as by ansible.builtin.debug, with the host: each is a deployment of its own.
            result |= {"msg": f"WARNING: {sentences(doubtful)}", "_ansible_verbose_always": True}
        return result

    def _violations(
        self,
        variables: dict[str, Any],
        where: Mapping[str, Any],
        known: dict[str, tuple[dict[str, Any], dict[str, Any]]],
    ) -> Iterator[Violation]:
        """Yield what is wrong with the variables of the role, and of those that it composes.

        What they hold, and the options that they are for, is left in *known* for each role.
        """
        given = "\n".join(str(one) for one in context.CLIARGS.get("extra_vars") or ())
        path = Path(variables["role_path"])
        role = path.name
        for other in _roles(path):
            options = specification.options_of(path.parent / other)
            values, unknown = self._values({name: variables[name] for name in options if name in variables})
            known[other] = values, options
            yield from unknown
            yield from name_problems(
                variables,
                other,
                known=PLAYBOOK_VARIABLES.union(options, specification.facts_of(path.parent / other)),
                settable=options,
                exceptions=self._exceptions(variables, role),
                declared_in=f"{role}_known_variables",
                misspelt_only=other != role,
                on_command_line=lambda name: re.search(rf"(?<![\w-]){re.escape(name)}\W", given) is not None,
            )
            types = specification.type_problems(values, options)
            right = _taken(values, options, {one.variable for one in types})
            check = rule_violations if other == MAIN_ROLE else role_violations
            rules = check(right, _scope(where))
            # They say more than that a type is wrong.
            yield from rules
            yield from unbroken(types, rules)

    def _values(self, templates: dict[str, Any]) -> tuple[dict[str, Any], list[Violation]]:
        """Return what the variables hold, and a violation for each of which that cannot be told."""
        values: dict[str, Any] = {}
        unknown: list[Violation] = []
        for name, template in templates.items():
            try:
                # Not the bare value: one that is omit drops out of a dictionary.
                values |= self._templar.template({name: template})
            except AnsibleError as error:
                unknown.append(Violation(name, f"cannot be evaluated: {str(error).rstrip('.')}"))
        return values, unknown

    def _exceptions(self, variables: dict[str, Any], role: str) -> list[str]:
        """Return the names that users have declared to be their own."""
        names = [f"{one}_known_variables" for one in sorted({role, MAIN_ROLE})]
        given, _unknown = self._values({name: variables[name] for name in names if name in variables})
        found: list[str] = []
        for name, value in given.items():
            # A wrong one is reported as such.
            if not specification.type_problem(name, value, {"type": "list", "elements": "str"}):
                found += specification.as_type(value, "list")
        return found


def _roles(path: Path) -> list[str]:
    """Return the role itself and, with the role mlflow, those that it composes."""
    if path.name != MAIN_ROLE:
        return [path.name]
    others = sorted(spec.parents[1].name for spec in path.parent.glob("*/meta/argument_specs.yml"))
    return [MAIN_ROLE, *(one for one in others if one != MAIN_ROLE)]


def _parents(variables: Mapping[str, Any]) -> bool:
    """Whether the role mlflow has called the role."""
    return f"{COLLECTION}.{MAIN_ROLE}" in (variables.get("ansible_parent_role_names") or [])


def _scope(where: Mapping[str, Any]) -> Scope:
    return Scope(*(str(where.get(name) or "") for name in ("partition", "region", "account_id")))


def _fingerprint(known: Mapping[str, tuple[dict[str, Any], dict[str, Any]]], scope: Scope) -> dict[str, str]:
    """Return by what a later run knows whether the same is to be deployed again."""
    root = Path(__file__).resolve().parents[2]
    values = {role: given for role, (given, _options) in known.items()}
    specifications = {role: options for role, (_given, options) in known.items()}
    return {
        "collection_version": fingerprint.collection_version(root),
        "collection_hash": fingerprint.collection_hash(root),
        "variables_hash": fingerprint.variables_hash(values, specifications, scope),
    }


def _taken(values: Mapping[str, Any], options: Mapping[str, Any], wrong: set[str]) -> dict[str, Any]:
    """Return the values with text taken for the list or dictionary that it stands for."""
    return {
        name: specification.as_type(value, options[name]["type"])
        if options[name]["type"] in ("list", "dict") and name not in wrong
        else value
        for name, value in values.items()
    }


def _names_of_the_caller(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return by what names the user has set a role's variables that the role mlflow has passed on.

    ``rds_port: "{{ mlflow_db_port }}"`` in the tasks of that role says that for ``rds_port`` it is ``mlflow_db_port``.
    """
    if not _parents(variables):
        return {}
    path = Path(variables["role_path"])
    theirs = specification.options_of(path.parent / MAIN_ROLE)
    found = {}
    for name in specification.options_of(path):
        passed = re.fullmatch(r"\{\{ (\w+)(?: \| [\w.]+(?:\([^()]*\))?)* \}\}", str(variables.get(name)))
        if passed and passed[1] in theirs:
            found[name] = passed[1]
    return found


# At import, before Ansible forks.
specification.load(Path(__file__).parents[2] / "roles")
