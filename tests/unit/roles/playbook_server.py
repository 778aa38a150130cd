# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook again and again, and imports Ansible once: importing it is most of what a small play costs.

Each line of its input is a request, a JSON object with arguments, environment, folder, and the file that gets the
output. Each is answered with the exit code, after a process of its own has run it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import typing

from ansible.cli import playbook

# A play that hangs is ended by SIGALRM, after seconds.
TIMEOUT = 300


def run(request: dict[str, typing.Any]) -> typing.NoReturn:
    """Become what the command ansible-playbook is."""
    signal.alarm(TIMEOUT)
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code: typing.Any = 250
    try:
        playbook.PlaybookCLI.cli_executor(["ansible-playbook", *request["arguments"]])
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not the handlers of the process that it was forked from.
        os._exit(code)


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
