#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_demo
short_description: Fill an MLflow tracking server with MLflow's own demo, and prove that it is there
version_added: 0.1.0
description:
  - Runs the C(mlflow demo) command of the server's own version against the server, unless its data is there already.
    It makes the experiment V(MLflow Demo) with traces, prompts and evaluation runs.
  - Then proves over REST that the experiment exists, that every feature of the server's version is marked as
    complete, that there are at least 30 traces, 3 runs and 3 prompts, and that artifacts go through the server. The
    exit code of C(mlflow demo) alone proves nothing, as it is V(0) also when no upload reached the artifact store.
  - Where uploads were lost, the module fails and takes the marks of that run back, so that the next run makes the
    data again.
  - Takes about a minute, longer where a client is installed first, and a second or two when there is nothing to do.
options:
  executable:
    description:
      - The C(mlflow) command to run, a path or a name on the E(PATH). It must be of the server's version.
      - By default one is installed from PyPI into O(virtualenv_root), with C(uv) where there is one on the E(PATH) or
        next to the interpreter, else with C(pip). The machine's settings of C(pip) (indexes, links, certificates)
        count for both.
      - For MLflow 3.10.0 to 3.17.2 the collection knows every package of it and its hashes, for Python 3.11 to 3.14 on
        Linux (with glibc, on x86_64 and aarch64) and on Macs with Apple silicon. Wheels alone are installed.
    type: path
  requirements:
    description:
      - File with the packages of such a client and their hashes, all of them, as
        C(uv pip compile --generate-hashes) writes it. It counts in place of what the collection knows.
    type: path
  allow_unpinned:
    description:
      - Install a client of a version for which there is neither, with whatever packages the index has that day. Their
        code then runs with the server's login in its environment.
    type: bool
    default: false
  virtualenv_root:
    description:
      - Folder of the cached clients, one virtual environment per version and set of packages.
      - Default is V($XDG_CACHE_HOME/mlops.mlflow_aws/mlflow), or V(~/.cache/mlops.mlflow_aws/mlflow).
    type: path
  virtualenv_python:
    description:
      - Interpreter to make a virtual environment with, Python 3.11 to 3.14. Default is the one that runs this module.
    type: path
  log_path:
    description:
      - File that gets the progress line by line while the module runs, to be followed with C(tail -f). It is created
        with mode 0600, or emptied. Its folder must exist.
    type: path
  time_limit:
    description:
      - Seconds after which installing and running together are given up.
    type: int
    default: 1800
  max_retries:
    description:
      - How often the client repeats a failed request. Few, as each pause is longer than the one before.
    type: int
    default: 3
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_health
    description: Waits until the server is ready.
  - name: MLflow's command line
    description: What C(mlflow demo) makes.
    link: https://mlflow.org/docs/latest/api_reference/cli.html
extends_documentation_fragment:
  - mlops.mlflow_aws.mlflow_connection
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
notes:
  - The login reaches the command through its environment, never on its command line. No other secret of the caller's
    environment is passed on, to the command or to C(pip) and C(uv); in particular no credentials of AWS.
  - Its steps are shown on standard error while it runs, over a local connection and without C(async) and C(no_log).
    The variable C(mlflow_live_progress) set to V(false) switches that off. The command's own output is shown at the end
    only; to see it earlier, follow O(log_path).
  - The AWS options serve O(login_secret_arn) only. They have nothing to do with O(tracking_uri).
requirements:
  - python >= 3.11
  - boto3 and botocore, with O(login_secret_arn) only
"""

EXAMPLES = r"""
- name: Fill the server with MLflow's demo
  mlops.mlflow_aws.mlflow_demo:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
  register: demo

- name: Show what is there
  ansible.builtin.debug:
    msg: "{{ demo.traces }} traces, {{ demo.runs }} runs and {{ demo.prompts }} prompts at {{ demo.experiment_url }}"

- name: The same with a client that exists, a server with a certificate of its own, and a log to follow
  mlops.mlflow_aws.mlflow_demo:
    tracking_uri: https://localhost:8443
    login_secret_arn: mlflow/login
    ca_path: /etc/ssl/my-ca.pem
    executable: /opt/mlflow-3.17.2/bin/mlflow
    log_path: /tmp/mlflow-demo.log
"""

RETURN = r"""
version:
  description: MLflow version of the server, and of the client that was used.
  returned: when the server answered
  type: str
  sample: 3.17.2
experiment_id:
  description: Identifier of the experiment. Empty when there is none yet.
  returned: when the server answered
  type: str
  sample: '4'
experiment_url:
  description: Address of the experiment in MLflow's user interface.
  returned: when there is an experiment
  type: str
  sample: https://mlflow.example.org/#/experiments/4
artifact_location:
  description: Where the experiment stores its artifacts.
  returned: when the server answered
  type: str
  sample: mlflow-artifacts:/4
features:
  description: The demo's features that are complete.
  returned: when the server answered
  type: list
  elements: str
  sample: [CUSTOM_VIEW, EVALUATION, ISSUES, JUDGES, PROMPTS, REVIEW_QUEUES, SAVED_VIEWS, TRACES]
traces:
  description: Number of traces in the experiment.
  returned: when the server answered
  type: int
  sample: 42
runs:
  description: Number of runs in the experiment.
  returned: when the server answered
  type: int
  sample: 4
prompts:
  description: Number of the demo's prompts in the registry.
  returned: when the server answered
  type: int
  sample: 3
client:
  description: The command that was run.
  returned: when C(mlflow demo) was run
  type: str
  sample: /home/me/.cache/mlops.mlflow_aws/mlflow/3.17.2/bin/python
rc:
  description: Exit code of C(mlflow demo).
  returned: when C(mlflow demo) was run
  type: int
  sample: 0
stdout_lines:
  description: What C(mlflow demo) said.
  returned: when C(mlflow demo) was run
  type: list
  elements: str
  sample:
    - Connecting to MLflow server at https://mlflow.example.org... connected!
    - ' View experiment at: https://mlflow.example.org/#/experiments/4'
    - done!
stderr_lines:
  description: What C(mlflow demo) complained about.
  returned: when C(mlflow demo) was run
  type: list
  elements: str
  sample:
    - '2026/11/23 07:58:04 INFO mlflow.demo: Generating demo data for ''DemoFeature.PROMPTS'''
    - '2026/11/23 07:58:24 INFO mlflow.demo: Generating demo data for ''DemoFeature.TRACES'''
    - '2026/11/23 07:58:54 INFO mlflow.demo: Generating demo data for ''DemoFeature.CUSTOM_VIEW'''
elapsed:
  description: Seconds that the module took.
  returned: always
  type: float
  sample: 228.6
reason:
  description:
    - The cause of a failure. Those of M(mlops.mlflow_aws.mlflow_health), and V(unsupported_version),
      V(unknown_version), V(artifact_location), V(no_executable), V(unpinned), V(bad_requirements),
      V(install_failed), V(version_skew), V(upload_failed), V(timeout), V(demo_failed), V(incomplete), V(bad_log).
  returned: failure
  type: str
  sample: connection_refused
"""

import time
import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.generate import Settings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.generate import ensure_demo
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import connect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import CONNECTION_RULES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import connection_argument_spec
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import Log

# Nothing of it is AWS's work. An estimate for two processors: a client is installed the first time, which is as fast as
# the network, and the data is made.
EXPECTED_DURATION = ExpectedDuration(fixed=180)


def open_log(module: AnsibleAWSModule, secrets: list[str]) -> Log:
    """Return the log file; none in check mode, which writes nothing."""
    path = None if module.check_mode else module.params["log_path"]
    try:
        progress = Progress("MLflow's demo data", EXPECTED_DURATION, hidden=module.no_log_values)
        return Log(path, secrets, tell=progress.report)
    except OSError as error:
        raise MlflowError("bad_log", f"log_path {path} cannot be written: {error.strerror}.") from error


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **connection_argument_spec(),
            "executable": {"type": "path"},
            "virtualenv_root": {"type": "path"},
            "requirements": {"type": "path"},
            "allow_unpinned": {"type": "bool", "default": False},
            "virtualenv_python": {"type": "path"},
            "log_path": {"type": "path"},
            "time_limit": {"type": "int", "default": 1800},
            "max_retries": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
        check_boto3=False,
        **CONNECTION_RULES,
    )
    params = module.params
    for name, least in (("time_limit", 1), ("max_retries", 0), ("request_timeout", 1)):
        if params[name] < least:
            module.fail_json(msg=f"{name} must be at least {least}, not {params[name]}.")

    started = time.monotonic()
    report: dict[str, typing.Any] = {}
    try:
        connection = connect(module)
        log = open_log(module, connection.secrets)
        try:
            changed = ensure_demo(
                connection,
                Settings(
                    executable=params["executable"],
                    virtualenv_root=params["virtualenv_root"],
                    requirements=params["requirements"],
                    allow_unpinned=params["allow_unpinned"],
                    virtualenv_python=params["virtualenv_python"],
                    time_limit=params["time_limit"],
                    max_retries=params["max_retries"],
                    check_mode=module.check_mode,
                ),
                log,
                report,
            )
        except MlflowError as error:
            log.write(f"failed: {error.message}")
            raise
        finally:
            log.close()
    except MlflowError as error:
        # What ran may have changed the server before it failed.
        changed = report.pop("touched", False)
        module.fail_json(
            msg=error.message,
            reason=error.reason,
            changed=changed,
            elapsed=round(time.monotonic() - started, 1),
            **report,
        )
    report.pop("touched", None)
    module.exit_json(changed=changed, elapsed=round(time.monotonic() - started, 1), **report)


if __name__ == "__main__":
    main()
