# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Find variables that begin with a role's name but are unknown to the role, usually because of a typo."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# The similarity, from 0 to 1, from which on a name counts as misspelt, and from which on one is suggested.
_MISSPELT = 0.75
_SUGGESTED = 0.5


def nearest(name: str, known: Collection[str], prefix: str, least: float) -> str:
    """Return the known name most similar to a name, or nothing. The common prefix does not count."""
    rests = {one.removeprefix(prefix): one for one in known if one.startswith(prefix)}
    found = difflib.get_close_matches(name.removeprefix(prefix), rests, n=1, cutoff=least)
    return rests[found[0]] if found else ""


def name_problems(
    names: Iterable[str],
    role: str,
    *,
    known: Collection[str],
    settable: Collection[str],
    exceptions: Iterable[str],
    declared_in: str,
    misspelt_only: bool = False,
    on_command_line: Callable[[str], bool] = lambda name: False,
) -> Iterator[Violation]:
    """Yield a violation for each variable with a role's prefix that the role does not know.

    Args:
        names: of all variables.
        role: name of the role.
        known: names that the role knows: its options, its facts.
        settable: those of them that a user may set.
        exceptions: names, or patterns such as ``rds_proxy_*``, of the user's own variables.
        declared_in: the variable in which they are declared.
        misspelt_only: whether to report only names that are very similar to a settable one, as the user did not call
            this role, and other variables may use its prefix.
        on_command_line: returns whether a name was given with -e.
    """
    prefix = f"{role}_"
    own = [str(pattern) for pattern in exceptions]
    for name in sorted(str(one) for one in names if str(one).startswith(prefix)):
        if name in known or any(fnmatch.fnmatchcase(name, pattern) for pattern in own):
            continue
        near = nearest(name, settable, prefix, _MISSPELT if misspelt_only else _SUGGESTED)
        if misspelt_only and not near:
            continue
        question = f", did you mean {near}? If" if near else ". If"
        how = "given with -e" if on_command_line(name) else "set"
        yield Violation(
            name,
            f"is {how}, but is not a variable of the role mlops.mlflow_aws.{role}{question} it is one of your own, name"
            f" it in {declared_in}",
        )
