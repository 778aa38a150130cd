#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_status
short_description: Read the state of an MLflow deployment on AWS
version_added: 0.1.0
description:
  - Reads the Express Mode service, its newest deployment, the RDS instance and its newest snapshot, and the bucket, and
    asks the server for its health. All requests are sent at the same time.
  - A request that fails, for example because the caller lacks a permission, is listed in RV(unknown) and stops nothing.
  - Reads no secret and needs no login of MLflow.
options:
  ca_path:
    description: File with the certificate authorities, in PEM format, that signed the server's certificate.
    type: path
  request_timeout:
    description: Seconds that the server has to answer a request.
    type: float
    default: 5
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.ecs_express_service_info
    description: Tells all about the service.
  - module: mlops.mlflow_aws.mlflow_health
    description: Waits for the server, and also asks its database and its bucket.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment.resources
"""

EXAMPLES = r"""
- name: Read the state of the deployment
  mlops.mlflow_aws.mlflow_deployment_status:
    deployment:
      name: tracking
      bucket: tracking-artifacts-123456789012-eu-central-1
      database: tracking
      parameter_group: tracking-postgres16
    ca_path: /etc/ssl/my-ca.pem
  register: tracking

- name: Show it
  ansible.builtin.debug:
    msg: "{{ tracking.lines }}"
"""

RETURN = r"""
name:
  description: Name of the service.
  returned: success
  type: str
  sample: tracking
region:
  description: AWS region.
  returned: success
  type: str
  sample: eu-central-1
state:
  description:
    - V(absent) if there is no service, V(deploying) during a deployment, V(stopped) at zero tasks, V(deleting) while
      the service is removed, V(running) if all is well, V(degraded) if not, V(unknown) if ECS could not be asked.
  returned: success
  type: str
  sample: running
url:
  description: The application URL, empty as long as there is none.
  returned: success
  type: str
  sample: https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
service:
  description: The server.
  returned: success
  type: dict
  contains:
    status:
      description: Status of the ECS service, empty if there is none.
      returned: always
      type: str
      sample: ACTIVE
    version:
      description: MLflow's version, as the server says, otherwise by the image's tag. Empty if neither tells it.
      returned: always
      type: str
      sample: 3.17.2
    image:
      description: The container image.
      returned: always
      type: str
      sample: ghcr.io/mlflow/mlflow:v3.17.2-full
    cpu:
      description: CPU units of a task.
      returned: always
      type: str
      sample: '1024'
    memory:
      description: Memory of a task in MiB.
      returned: always
      type: str
      sample: '4096'
    running_tasks:
      description: Number of tasks that run, V(none) if it is not known.
      returned: always
      type: int
      sample: 1
    desired_tasks:
      description: Number of tasks that ECS keeps running, V(none) if it is not known.
      returned: always
      type: int
      sample: 1
    min_tasks:
      description: The least number of tasks, V(none) if it is not known.
      returned: always
      type: int
      sample: 1
    max_tasks:
      description: The greatest number of tasks, V(none) if it is not known.
      returned: always
      type: int
      sample: 1
    healthy:
      description: Whether C(/health) answers, V(none) without a URL.
      returned: always
      type: bool
      sample: true
    latency_ms:
      description: Milliseconds until C(/health) answered, V(none) if it is not known.
      returned: always
      type: int
      sample: 12
    health_error:
      description: Why C(/health) does not answer, empty if it does.
      returned: always
      type: str
      sample: ''
deployment:
  description: The newest deployment of the service.
  returned: success
  type: dict
  contains:
    status:
      description: Status of the deployment, as ECS gives it.
      returned: always
      type: str
      sample: SUCCESSFUL
    status_reason:
      description: The reason that ECS gives.
      returned: always
      type: str
      sample: ''
    created_at:
      description: When the deployment was created, V(none) if it is not known.
      returned: always
      type: str
      sample: '2026-11-23T07:56:00+00:00'
    finished_at:
      description: When the deployment ended, V(none) while it goes on.
      returned: always
      type: str
      sample: '2026-11-23T08:02:41+00:00'
database:
  description: The RDS instance.
  returned: success
  type: dict
  contains:
    identifier:
      description: Identifier of the instance, as given in O(deployment.database).
      returned: always
      type: str
      sample: tracking
    status:
      description: Status of the instance, empty if it does not exist.
      returned: always
      type: str
      sample: available
    engine_version:
      description: Version of PostgreSQL.
      returned: always
      type: str
      sample: '16.9'
    instance_class:
      description: Class of the instance.
      returned: always
      type: str
      sample: db.t4g.micro
    multi_az:
      description: Whether there is a standby in another availability zone, V(none) if it is not known.
      returned: always
      type: bool
      sample: false
    allocated_storage_gib:
      description: Storage of the instance in GiB, V(none) if it is not known.
      returned: always
      type: int
      sample: 20
    used_storage_gib:
      description: Storage in use in GiB, from CloudWatch. V(none) without a value of the last three days.
      returned: always
      type: float
      sample: 3.2
    backup_retention_days:
      description: For how many days RDS keeps automated backups, V(0) if it makes none, V(none) if it is not known.
      returned: always
      type: int
      sample: 7
    latest_restorable_time:
      description: The latest moment to which the instance can be restored, V(none) if it is not known.
      returned: always
      type: str
      sample: '2026-11-23T08:10:00+00:00'
    latest_snapshot:
      description: The newest snapshot that is available, empty if there is none.
      returned: always
      type: str
      sample: tracking-before-update
    latest_snapshot_time:
      description: When that snapshot was made, V(none) if it is not known.
      returned: always
      type: str
      sample: '2026-11-22T03:00:00+00:00'
    pending_changes:
      description: Settings that RDS has not applied yet.
      returned: always
      type: list
      elements: str
      sample: []
bucket:
  description: The bucket that holds the artifacts.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the bucket.
      returned: always
      type: str
      sample: tracking-artifacts-123456789012-eu-central-1
    exists:
      description: Whether the bucket exists, V(none) if it is not known.
      returned: always
      type: bool
      sample: true
    public_access_blocked:
      description: Whether all public access is blocked, V(none) if it is not known.
      returned: always
      type: bool
      sample: true
    versioning:
      description: Whether older versions of objects are kept.
      returned: always
      type: bool
      sample: true
    encryption:
      description: Algorithm of the default encryption.
      returned: always
      type: str
      sample: AES256
    size_gib:
      description: Size of the objects in GiB, from CloudWatch, which counts once a day. V(none) without a value.
      returned: always
      type: float
      sample: 41.7
certificate:
  description: The certificate that the server shows.
  returned: success
  type: dict
  contains:
    expires_at:
      description: When the certificate expires, V(none) if it is not known.
      returned: always
      type: str
      sample: '2027-12-22T23:59:59+00:00'
    days_left:
      description: Days until then, V(none) if it is not known.
      returned: always
      type: int
      sample: 394
drift:
  description: Whether the deployment was changed since it was deployed.
  returned: success
  type: dict
  contains:
    found:
      description: V(yes), V(no), or V(unknown) without a record of the last deployment, or if not all could be read.
      returned: always
      type: str
      sample: unknown
    resources:
      description: Names of the resources that are not as they were left.
      returned: always
      type: list
      elements: str
      sample: []
    since:
      description: When the deployment was recorded, V(none) if that is not known.
      returned: always
      type: str
      sample: '2026-11-23T08:02:41Z'
cost:
  description: What a month costs at list prices, besides what depends on use.
  returned: success
  type: dict
  contains:
    monthly_usd:
      description: US dollars a month, V(none) if it is not known.
      returned: always
      type: float
      sample: 85.09
    region:
      description: AWS region.
      returned: always
      type: str
      sample: eu-central-1
    as_of:
      description: Date of the prices, empty if there are none.
      returned: always
      type: str
      sample: ''
    unknown:
      description: Why the sum is not known, empty if it is.
      returned: always
      type: str
      sample: the resources could not all be read
    lines:
      description: The parts of the sum, each as RV(ignore:part) with its RV(ignore:monthly_usd).
      returned: always
      type: list
      elements: dict
      sample:
        - part: Fargate, 1 vCPU
          monthly_usd: 33.99
        - part: RDS storage, 20 GB gp2
          monthly_usd: null
verbs:
  description:
    - The verbs, such as backup or restore, that work on the deployment or were cut off, oldest first. As long as there
      is one, drift is unknown.
    - Each has RV(ignore:verb), RV(ignore:step) (its number, V(0) before the first), RV(ignore:since),
      RV(ignore:caller) (an ARN), RV(ignore:run) (an ID), and RV(ignore:ended), which says whether the run has ended
      without completing the verb. On another machine than its own that is known only after hours without a sign of it.
  returned: success
  type: list
  elements: dict
  sample: []
problems:
  description: What needs attention, in sentences.
  returned: success
  type: list
  elements: str
  sample:
    - The database has no automated backups.
unknown:
  description: Questions that were not answered, with the reason.
  returned: success
  type: dict
  sample: {version: 'https://mlflow.example.org answers, but is not an MLflow tracking server.'}
lines:
  description: The same for people.
  returned: success
  type: list
  elements: str
  sample:
    - "MLflow 'tracking': running"
    - 'URL:         https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws'
"""

from datetime import UTC
from datetime import datetime

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import reader
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import summary
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.options import DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.options import scope_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import parse_connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target


def _work(module: AnsibleAWSModule) -> ModuleResult:
    scope = scope_of(module)

    def connect(url: str) -> Connection:
        try:
            return parse_connection({**module.params, "tracking_uri": url})
        except MlflowError as e:
            raise UserError(e.message) from e

    now = datetime.now(UTC)
    observed = reader.read(make_clients(module), scope, connect)
    found = summary.facts(observed, scope, now, lock.unfinished_verbs(target.tags(observed.get("service")), now))
    return ModuleResult(False, {}, {}, {**found, "lines": summary.lines(found)}, [], has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "deployment": DEPLOYMENT,
            "ca_path": {"type": "path"},
            "request_timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['deployment']['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
