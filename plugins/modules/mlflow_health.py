#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_health
short_description: Wait until an MLflow tracking server is ready, and say why it is not
version_added: 0.1.0
description:
  - Asks a tracking server until it answers or O(wait_timeout) is over, and distinguishes the possible causes,
    RV(reason).
  - MLflow's C(/health) answers 200 while the database is down, while every host name is refused, and while the
    artifact store does not exist. So the module also asks the API, the database and, if wanted, the artifact store.
  - A name that does not resolve, a refused connection, a missing certificate, and a balancer without a healthy server
    are waited for, as AWS needs minutes for each. A wrong login, a refused host name, an untrusted authority, and a
    service that is not MLflow are not waited for longer than O(patience).
options:
  check_database:
    description:
      - Whether the server must be able to read its database.
      - It is also what proves the login, so leave it on where O(username) or O(token) is given.
    type: bool
    default: true
  check_artifacts:
    description:
      - Whether the server must be able to store, read, list and delete an artifact. One small artifact with a random
        name below C(_probe/) is used and always deleted again.
      - In check mode artifacts are only listed.
    type: bool
    default: false
  artifact_bucket:
    description:
      - S3 bucket that the stored artifact must be seen in before it is deleted again. Needs O(check_artifacts=true),
        C(boto3), and the permission C(s3:GetObject) on the bucket.
      - The AWS options of this module serve this question and O(login_secret_arn). They have nothing to do with
        O(tracking_uri).
    type: str
  artifact_prefix:
    description:
      - Prefix of the artifacts in O(artifact_bucket), the path in the server's C(--artifacts-destination).
    type: str
    default: ""
  check_uris:
    description:
      - Whether the server must refuse the places of files that its users are not to name, an artifact location of an
        experiment and a source of a model version in a bucket that does not exist. Both are tried, in a way that
        creates nothing. Not in check mode.
      - What users have named before is looked for, and returned as RV(foreign_uris), with a warning. The login should
        be an administrator's, as other users do not see everything.
    type: bool
    default: false
  allowed_artifact_locations:
    description:
      - What artifact locations may begin with, for O(check_uris).
    type: list
    elements: str
    default: []
  allowed_model_sources:
    description:
      - What sources of model versions may begin with besides C(mlflow-artifacts:/), C(runs:/) and C(models:/), for
        O(check_uris).
    type: list
    elements: str
    default: []
  check_default_login:
    description:
      - Whether the server must refuse MLflow's public default administrator, C(admin) with a password that everybody
        can read in its documentation. MLflow before 3.16.1 creates this account.
    type: bool
    default: false
  expected_version:
    description:
      - MLflow version that must answer, for example V(3.17.2). Another one is waited for, as it may be the previous
        version on its way out.
    type: str
  wait_timeout:
    description:
      - Seconds to wait. With V(0) the server is asked once.
    type: int
    default: 600
  delay:
    description:
      - Seconds between two attempts.
    type: int
    default: 5
    aliases: [wait_delay]
  patience:
    description:
      - Seconds for which causes are tolerated that waiting hardly ever heals.
    type: int
    default: 15
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_demo
    description: Fills the server, and proves that it can be used.
  - module: mlops.mlflow_aws.ecs_express_service
    description: Makes the service that the server runs in.
  - name: MLflow's tracking server
    description: How it is set up, its artifact store and its login.
    link: https://mlflow.org/docs/latest/self-hosting/architecture/tracking-server/
extends_documentation_fragment:
  - mlops.mlflow_aws.mlflow_connection
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
notes:
  - While it waits, each change is shown on standard error, over a local connection and without C(async) and C(no_log).
    The variable C(mlflow_live_progress) set to V(false) switches that off.
attributes:
  check_mode:
    support: full
    details:
      - Nothing is stored in check mode.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - python >= 3.11
  - boto3 and botocore, with O(artifact_bucket) and O(login_secret_arn) only
"""

EXAMPLES = r"""
- name: Wait until the server answers, without a login
  mlops.mlflow_aws.mlflow_health:
    tracking_uri: https://mlflow.example.org
    check_database: false

- name: Wait until its database answers too
  mlops.mlflow_aws.mlflow_health:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login

- name: Wait until a new deployment can be used, artifacts included
  mlops.mlflow_aws.mlflow_health:
    tracking_uri: https://mlflow.example.org
    login_secret_arn: mlflow/login
    check_artifacts: true
    artifact_bucket: tracking-artifacts-123456789012-eu-central-1
    expected_version: 3.17.2
    wait_timeout: 1800
  register: mlflow

- name: Show what it was waiting for
  ansible.builtin.debug:
    msg: "Ready after {{ mlflow.elapsed }} s of {{ mlflow.history | map(attribute='reason') | join(', ') }}"
"""

RETURN = r"""
reason:
  description:
    - V(ready), or in a failure the last cause.
    - "Waited for: V(dns) (name does not resolve), V(connection_refused), V(connection_closed), V(timeout),
      V(unreachable), V(proxy), V(tls_failed) (no handshake), V(tls_wrong_host) and V(tls_expired) (certificate of
      another host, or out of date), V(balancer_unavailable) (502, 503, 504), V(unhealthy) (C(/health) is not 200),
      V(database_unavailable), V(server_error) (5xx of MLflow itself), V(unexpected_version), V(bucket_error)."
    - "Waited for, but not longer than three minutes in a row, as permissions settle by then: V(artifacts_write),
      V(artifacts_unreadable), V(artifacts_list), V(artifacts_delete), V(bucket_forbidden)."
    - "Not waited for longer than O(patience): V(tls_not_trusted), V(host_not_allowed), V(login_required),
      V(login_rejected), V(permission_denied), V(forbidden), V(redirected), V(wrong_service), V(endpoint_disabled),
      V(unexpected_answer), V(artifacts_read), V(artifacts_elsewhere) (the server stores into another bucket)."
    - "Not waited for at all: V(uris_accepted) (see O(check_uris)), V(default_login_accepted) (see
      O(check_default_login))."
    - "Not tried at all: V(bad_uri), V(bad_ca), V(bad_secret)."
  returned: always
  type: str
  sample: ready
version:
  description: MLflow version of the server. Empty when the server does not report it.
  returned: success
  type: str
  sample: 3.17.2
latency_ms:
  description: Milliseconds that C(/health) took, connection included.
  returned: success
  type: float
  sample: 641.3
elapsed:
  description: Seconds waited.
  returned: always
  type: float
  sample: 1.8
attempts:
  description: Number of attempts.
  returned: always
  type: int
  sample: 1
history:
  description: Every cause met on the way, in order.
  returned: always
  type: list
  elements: dict
  contains:
    after:
      description: Seconds from the start.
      type: float
      returned: always
      sample: 0.2
    reason:
      description: As RV(reason).
      type: str
      returned: always
      sample: connection_refused
    message:
      description: The cause as a sentence.
      type: str
      returned: always
      sample: 'http://mlflow.example.org refuses connections: nothing listens there.'
database_ok:
  description: V(true) when the database was asked and answered, V(none) when it was not asked.
  returned: success
  type: bool
  sample: true
artifacts_ok:
  description: V(true) when the artifact store was asked and answered, V(none) when it was not asked.
  returned: success
  type: bool
  sample: true
probe:
  description: Name that the probe artifact had. V(none) when none was stored.
  returned: success
  type: str
  sample: _probe/7e63cfff582146b3bc55824915176d95.txt
foreign_uris:
  description: Experiments and model versions whose files are elsewhere than O(check_uris) lets users name.
  returned: success, with O(check_uris=true)
  type: list
  elements: dict
  contains:
    kind:
      description: V(experiment) or V(model version).
      type: str
      returned: always
      sample: experiment
    name:
      description: Name of the experiment, or name and version of the model.
      type: str
      returned: always
      sample: churn
    uri:
      description: The artifact location, or the source.
      type: str
      returned: always
      sample: s3://team-bucket/churn
store_type:
  description: Kind of the server's metadata store, V(none) when the server does not report it.
  returned: success
  type: str
  sample: SqlStore
workspaces_enabled:
  description: Whether the server runs with workspaces, V(none) when it does not report it.
  returned: success
  type: bool
  sample: false
"""

import contextlib
import time
import typing
from collections.abc import Callable

with contextlib.suppress(ImportError):  # Told by check_sdk_version_supported, where S3 is asked.
    import botocore.exceptions

from ansible.module_utils.common.warnings import warn

from ansible_collections.amazon.aws.plugins.module_utils.botocore import check_sdk_version_supported
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.default_login import ACCEPTED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.default_login import check_default_login
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.login import connect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import CONNECTION_RULES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.options import connection_argument_spec
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import PERMISSIONS_SETTLE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import Questions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import Waiting
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import check_server
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.readiness import wait_until_ready
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.uris import check_refusals
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.uris import find_foreign
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.uris import sentence

# The name and the certificate of a VPC's first Express service (user reports); the rest is MLflow's own start.
EXPECTED_DURATION = ExpectedDuration(0, 25, fixed=60)


def find_in_bucket(client: typing.Any, bucket: str, prefix: str, name: str) -> None:
    """Raise MlflowError unless the artifact is an object of the bucket."""
    key = "/".join(part for part in (prefix.strip("/"), name) if part)
    try:
        client.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as error:
        # HeadObject has no body, so S3 gives the bare status as code.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 404:
            raise MlflowError(
                "artifacts_elsewhere",
                f"MLflow stored an artifact, but not as s3://{bucket}/{key}: its --artifacts-destination differs from"
                " artifact_bucket and artifact_prefix.",
            ) from error
        if status == 403:
            raise MlflowError(
                "bucket_forbidden",
                f"These AWS credentials may not look at s3://{bucket}/{key} (s3:GetObject, s3:ListBucket).",
                waiting_helps=True,
                at_most=PERMISSIONS_SETTLE,
            ) from error
        raise MlflowError("bucket_error", f"S3 does not show s3://{bucket}/{key}: {error}.", True) from error
    except botocore.exceptions.BotoCoreError as error:
        raise MlflowError("bucket_error", f"S3 cannot be asked for s3://{bucket}/{key}: {error}.", True) from error


def bucket_lookup(module: AnsibleAWSModule) -> Callable[[str], None] | None:
    """Return the check that an artifact is in the caller's bucket; None if it is not asked for."""
    bucket = module.params["artifact_bucket"]
    if not bucket or module.check_mode:
        return None
    try:
        check_sdk_version_supported(warn=warn)
    except AnsibleBotocoreError as error:
        module.fail_json(msg=f"artifact_bucket needs boto3: {error}")
    client = make_client(module, "s3", attempts=4)
    prefix = module.params["artifact_prefix"] or ""
    return lambda name: find_in_bucket(client, bucket, prefix, name)


def check_uris(module: AnsibleAWSModule, client: Client) -> list[dict[str, str]]:
    """Raise MlflowError if the server accepts what it must refuse; warn about and return what was named before."""
    if not module.check_mode:
        check_refusals(client)
    params = module.params
    found = find_foreign(client, params["allowed_artifact_locations"], params["allowed_model_sources"])
    if found:
        warn(sentence(found))
    return found


def check_numbers(params: dict[str, typing.Any]) -> str:
    """Return a sentence about the first number that makes no sense, or nothing."""
    for name, least in (("wait_timeout", 0), ("delay", 1), ("patience", 0), ("request_timeout", 1)):
        if params[name] < least:
            return f"{name} must be at least {least}, not {params[name]}."
    return ""


ARGUMENT_SPEC: dict[str, typing.Any] = {
    **connection_argument_spec(),
    "check_database": {"type": "bool", "default": True},
    "check_artifacts": {"type": "bool", "default": False},
    "artifact_bucket": {"type": "str"},
    "artifact_prefix": {"type": "str", "default": ""},
    "check_uris": {"type": "bool", "default": False},
    "allowed_artifact_locations": {"type": "list", "elements": "str", "default": []},
    "allowed_model_sources": {"type": "list", "elements": "str", "default": []},
    "check_default_login": {"type": "bool", "default": False},
    "expected_version": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 600},
    "delay": {"type": "int", "default": 5, "aliases": ["wait_delay"]},
    "patience": {"type": "int", "default": 15},
}


def questions(module: AnsibleAWSModule) -> Questions:
    """Return what has to hold before the server counts as ready."""
    params = module.params
    return Questions(
        database=params["check_database"],
        artifacts=params["check_artifacts"],
        read_only=module.check_mode,
        expected_version=(params["expected_version"] or "").removeprefix("v") or None,
        find_object=bucket_lookup(module),
        bucket=params["artifact_bucket"] or "",
    )


def main(make_waiter: Callable[..., Waiter] = Waiter) -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, check_boto3=False, **CONNECTION_RULES
    )
    params = module.params
    problem = check_numbers(params)
    if problem:
        module.fail_json(msg=problem)
    if params["artifact_bucket"] and not params["check_artifacts"]:
        module.fail_json(msg="artifact_bucket is only looked at with check_artifacts: true.")

    progress = Progress("MLflow server", EXPECTED_DURATION, hidden=module.no_log_values)
    waiting = Waiting(report=progress.report)
    waiter = make_waiter(timeout=params["wait_timeout"], delay=params["delay"])
    uri = params["tracking_uri"]
    try:
        client = Client(connect(module))
        uri = client.connection.tracking_uri
        wanted = questions(module)
        if params["wait_timeout"]:
            client.deadline = time.monotonic() + params["wait_timeout"]
        result = wait_until_ready(lambda: check_server(client, wanted), waiting, waiter, tolerance=params["patience"])
        if params["check_default_login"]:
            check_default_login(client.connection)
        if params["check_uris"]:
            result["foreign_uris"] = check_uris(module, client)
    except MlflowError as error:
        module.fail_json(
            msg=describe_failure(uri, waiting, error, params["wait_timeout"]),
            reason=error.reason,
            **_history(waiting),
        )
    module.exit_json(changed=False, reason="ready", **_history(waiting), **result)


def _history(waiting: Waiting) -> dict[str, typing.Any]:
    return {"elapsed": round(waiting.elapsed, 1), "attempts": waiting.attempts, "history": waiting.history}


def describe_failure(uri: str, waiting: Waiting, error: MlflowError, wait_timeout: int) -> str:
    if not waiting.attempts:
        return error.message
    tries = "1 attempt" if waiting.attempts == 1 else f"{waiting.attempts} attempts"
    if error.reason in ("uris_accepted", ACCEPTED):
        return error.message
    text = f"MLflow at {uri} is not ready after {waiting.elapsed:.0f} s ({tries}). {error.message}"
    if not error.waiting_helps:
        return f"{text} Waiting longer does not help."
    ended_by_option = wait_timeout and (error.at_most is None or error.at_most > wait_timeout)
    return f"{text} The wait ended with wait_timeout, {wait_timeout} s." if ended_by_option else text


if __name__ == "__main__":
    main()
