# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change by hand every attribute that the roles manage, and check that a converge restores it.

    drift.py change NAME FILE    writes all attributes of the deployment NAME to FILE, and changes the managed ones
    drift.py diffs NAME FILE     fails unless the output of plan --check --diff in FILE.check, as the callback
                                 ansible.posix.json writes it, has noticed each in the comparison with what was deployed
                                 last, shows each from old to new, and no secret, and the plan has them and nothing else
    drift.py compare NAME FILE   fails if an attribute differs from what FILE says

attributes.py lists the managed attributes, by_hand.py changes them, snapshot.py reads them, comparison.py compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import by_hand
from attributes import ATTRIBUTES
from comparison import differences
from comparison import disagreements
from comparison import plan_of
from comparison import undisclosed
from comparison import unnoticed
from comparison import untouched
from deployment import SECRETS
from deployment import Deployment
from snapshot import snapshot


def diffs(here: Deployment, file: Path) -> None:
    """Fail unless a plan shows each attribute from old to new, nothing else, and no secret."""
    text = Path(f"{file}.check").read_text(encoding="utf-8")
    output = json.loads(text)
    problems = [*unnoticed(output), *undisclosed(output)]
    # What deploy then changes is what was changed by hand: the verb compare fails otherwise.
    problems += disagreements(here.name, json.loads(file.read_text(encoding="utf-8")), plan_of(output))
    for kind in SECRETS:
        value = here.secrets.get_secret_value(SecretId=here.secret(kind))["SecretString"]
        members = {
            name: item for name, item in json.loads(value).items() if name.endswith(("password", "key", "passphrase"))
        }
        problems += [f"The secret {kind} is shown: {name}" for name, item in members.items() if item in text]
    if problems:
        sys.exit("Not shown from old to new:\n" + "\n".join(problems))
    print(f"{len(ATTRIBUTES)} attributes are shown from old to new, and planned.")


def change(here: Deployment, file: Path) -> None:
    """Write the attributes to the file, change the managed ones, and fail if one of them is as before."""
    by_hand.add_unmanaged_settings(here)
    before = snapshot(here)
    file.write_text(json.dumps(before, indent=1), encoding="utf-8")
    by_hand.change_service(here, before)
    by_hand.change_database(here, before)
    by_hand.change_bucket(here, before)
    by_hand.change_groups(here, before)
    by_hand.change_secrets(here, before)
    by_hand.change_logs(here, before)
    # Last, as ECS uses these roles for the changes above.
    by_hand.change_roles(here, before)
    same = untouched(before, snapshot(here))
    if same:
        sys.exit("Not changed by hand:\n" + "\n".join(same))
    print(f"{len(ATTRIBUTES)} attributes were changed by hand.")


def compare(here: Deployment, file: Path) -> None:
    """Fail if anything is not as it was."""
    found = list(differences(json.loads(file.read_text(encoding="utf-8")), snapshot(here)))
    if found:
        sys.exit("Not as before the drift:\n" + "\n".join(found))
    print("Everything is as before the drift.")


if __name__ == "__main__":
    VERBS = {"change": change, "diffs": diffs, "compare": compare}
    VERBS[sys.argv[1]](Deployment(sys.argv[2]), Path(sys.argv[3]))
