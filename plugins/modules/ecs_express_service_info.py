#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_express_service_info
short_description: Describe Amazon ECS Express Mode services, and explain what is wrong with them
version_added: 0.1.0
description:
  - Finds one or all Express Mode services of a cluster.
  - Services that are not of Express Mode, or that are already deleted, are left out. A cluster or a name that does
    not exist gives an empty list.
  - Which tool made a service does not matter. If all services are asked for, one that may not be described is there
    with its name, ARN and status only, and a warning says why.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
options:
  service_name:
    description: Name of the service. Without it all Express Mode services of the cluster are described.
    type: str
    aliases: [name]
  cluster:
    description: Name or ARN of the cluster.
    type: str
    default: default
  explain:
    description:
      - Also find out how the newest deployment is doing, and why it fails if it does, with events, tasks, target
        health, the last lines of the container's log, and the likely cause with its remedy.
    type: bool
    default: false
  managed_resources:
    description:
      - Also return what ECS made for the services, which costs a request for each. O(explain=true) does so as well.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: mlops.mlflow_aws.ecs_express_service
    description: Creates, updates and deletes a service.
  - module: mlops.mlflow_aws.ecs_express_allow_list
    description: Says from which networks a service may be called.
  - name: Amazon ECS Express Mode
    description: The developer guide.
    link: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-overview.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
"""

EXAMPLES = r"""
- name: All Express Mode services of the cluster "default"
  mlops.mlflow_aws.ecs_express_service_info:
  register: express

- name: Their URLs
  ansible.builtin.debug:
    msg: "{{ express.services | items2dict(key_name='service_name', value_name='url') }}"

- name: Why does this one not start?
  mlops.mlflow_aws.ecs_express_service_info:
    service_name: tracking
    explain: true
  register: tracking

- name: The explanation
  ansible.builtin.debug:
    msg: "{{ tracking.services[0].explanation.text.splitlines() }}"
"""

RETURN = r"""
services:
  description: The services, by name.
  type: list
  elements: dict
  returned: always
  contains:
    service_name:
      description: The service's name.
      type: str
      returned: always
      sample: tracking
    service_arn:
      description: The service's ARN, V(none) for one that check mode would create.
      type: str
      returned: always
      sample: arn:aws:ecs:eu-central-1:123456789012:service/default/tracking
    cluster:
      description: The name of its cluster.
      type: str
      returned: always
      sample: default
    status:
      description: The status, which says nothing about readiness.
      type: dict
      returned: always
      contains:
        status_code:
          description: One of V(ACTIVE), V(DRAINING) and V(INACTIVE).
          type: str
          returned: always
          sample: ACTIVE
        status_reason:
          description: What ECS says on it, V(none) if nothing.
          type: str
          returned: always
          sample: null
    infrastructure_role_arn:
      description: The role with which ECS makes the service's resources.
      type: str
      returned: when ECS reports it
      sample: arn:aws:iam::123456789012:role/tracking-infrastructure-role
    current_deployment:
      description: The ARN of the deployment that is under way, V(none) if there is none or ECS does not report it.
      type: str
      returned: when ECS reports it
      sample: null
    created_at:
      description: When the service was created.
      type: str
      returned: when ECS reports it
      sample: '2026-11-23T07:55:31.405689+00:00'
    updated_at:
      description: When it was changed last, V(none) if ECS does not report it.
      type: str
      returned: when ECS reports it
      sample: '2026-11-23T07:56:00.341631+00:00'
    endpoint:
      description: The host name of the service, an empty string until ECS reports it.
      type: str
      returned: always
      sample: tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
    url:
      description: The URL of the service, an empty string until ECS reports its endpoint.
      type: str
      returned: always
      sample: https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
    tags:
      description: The tags, without those of AWS.
      type: dict
      returned: always
      sample: {team: research}
    execution_role_arn: &execution_role_arn
      description: The role with which ECS pulls the image, reads the secrets and writes the log.
      type: str
      returned: when ECS reports it
      sample: arn:aws:iam::123456789012:role/tracking-execution-role
    task_role_arn: &task_role_arn
      description: The role that the container itself has.
      type: str
      returned: when ECS reports it
      sample: arn:aws:iam::123456789012:role/tracking-task-role
    task_definition_arn: &task_definition_arn
      description: The task definition that ECS made, or that was given.
      type: str
      returned: when ECS reports it
      sample: arn:aws:ecs:eu-central-1:123456789012:task-definition/default-tracking:4
    health_check_path: &health_check_path
      description: The path that the load balancer asks for.
      type: str
      returned: when ECS reports it
      sample: /
    cpu: &cpu
      description: CPU units of a task.
      type: str
      returned: when ECS reports it
      sample: '1024'
    memory: &memory
      description: Memory of a task in MiB.
      type: str
      returned: when ECS reports it
      sample: '4096'
    cpu_architecture: &cpu_architecture
      description: Processor architecture of the image.
      type: str
      returned: when ECS and the installed botocore report it
      sample: X86_64
    network_configuration: &network_configuration
      description: Where tasks and load balancer are.
      type: dict
      returned: when ECS reports it
      contains:
        subnets:
          description: IDs of the subnets.
          type: list
          elements: str
          returned: when ECS reports it
          sample: [subnet-00000001, subnet-00000002, subnet-00000003]
        security_groups:
          description: IDs of the security groups, with the one that ECS added.
          type: list
          elements: str
          returned: when ECS reports it
          sample: [sg-8cda3ce65ccee040a]
    scaling_target: &scaling_target
      description: How many tasks there are.
      type: dict
      returned: when ECS reports it
      contains:
        min_task_count:
          description: The least number of tasks.
          type: int
          returned: when ECS reports it
          sample: 1
        max_task_count:
          description: The greatest number of tasks.
          type: int
          returned: when ECS reports it
          sample: 1
        auto_scaling_metric:
          description: What decides on the number.
          type: str
          returned: when ECS reports it
          sample: AVERAGE_CPU
        auto_scaling_target_value:
          description: The value of the metric that is kept to.
          type: int
          returned: when ECS reports it
          sample: 60
    primary_container: &primary_container
      description: The container.
      type: dict
      returned: when ECS reports it
      contains:
        image:
          description: The image, as it was given.
          type: str
          returned: when ECS reports it
          sample: public.ecr.aws/docker/library/python:3.11-slim-trixie
        container_port:
          description: The port that the container listens on.
          type: int
          returned: when ECS reports it
          sample: 5000
        command:
          description: The command.
          type: list
          elements: str
          returned: when there is one
          sample: [python, -m, http.server, '5000']
        environment:
          description: Environment variables. Values that look like secrets are hidden.
          type: dict
          returned: when there are some
          sample: {GREETING: hello}
        secrets:
          description: Environment variables that ECS fills with secrets, and where from.
          type: dict
          returned: when there are some
          sample:
            DATABASE_PASSWORD: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking-AbCdEf:password::'
        aws_logs_configuration:
          description: Where the output goes.
          type: dict
          returned: when ECS reports it
          contains:
            log_group:
              description: Name of the log group.
              type: str
              returned: when ECS reports it
              sample: /ecs/default/tracking
            log_stream_prefix:
              description: Beginning of the names of the log streams.
              type: str
              returned: when ECS reports it
              sample: ecs
        repository_credentials:
          description: Credentials for a private registry.
          type: dict
          returned: when they were given
          contains:
            credentials_parameter:
              description: ARN of the secret that holds them.
              type: str
              returned: always
              sample: arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry-AbCdEf
    service_revision_arn:
      description: The revision that these fields describe, the newest one. V(none) as long as there is none.
      type: str
      returned: when ECS reports it
      sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/6277221446979689759
    active_configurations:
      description: All configurations that serve at present, two during an update.
      type: list
      elements: dict
      returned: always
      contains:
        service_revision_arn:
          description: The revision.
          type: str
          returned: always
          sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/6277221446979689759
        created_at:
          description: When it was made.
          type: str
          returned: always
          sample: '2026-11-23T07:56:00.341627+00:00'
        ingress_paths:
          description: Where the service is reached.
          type: list
          elements: dict
          returned: always
          contains:
            access_type:
              description: V(PUBLIC) or V(PRIVATE).
              type: str
              returned: always
              sample: PUBLIC
            endpoint:
              description: The host name.
              type: str
              returned: always
              sample: tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
        execution_role_arn: *execution_role_arn
        task_role_arn: *task_role_arn
        task_definition_arn: *task_definition_arn
        health_check_path: *health_check_path
        cpu: *cpu
        memory: *memory
        cpu_architecture: *cpu_architecture
        network_configuration: *network_configuration
        scaling_target: *scaling_target
        primary_container: *primary_container
    deployment:
      description: The newest deployment. Empty if there is none.
      type: dict
      returned: always
      contains:
        service_deployment_arn:
          description: Its ARN.
          type: str
          returned: always
          sample: arn:aws:ecs:eu-central-1:123456789012:service-deployment/default/tracking/4tiS1uQhfSWpZvhKMhA38
        status:
          description:
            - Its status, such as V(IN_PROGRESS), V(SUCCESSFUL) or V(ROLLBACK_SUCCESSFUL). There is no V(FAILED).
          type: str
          returned: always
          sample: SUCCESSFUL
        status_reason:
          description: What ECS says on the status, V(none) if nothing.
          type: str
          returned: always
          sample: null
        lifecycle_stage:
          description: Its stage, V(none) before it has started.
          type: str
          returned: always
          sample: CLEAN_UP
        target_service_revision_arn:
          description: The revision that it moves to.
          type: str
          returned: always
          sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/6277221446979689759
        traffic_percent:
          description: Percentage of the requests that this revision has, V(none) if ECS does not report it.
          type: float
          returned: always
          sample: 100
        created_at:
          description: When it started.
          type: str
          returned: always
          sample: '2026-11-23T07:56:00.341659+00:00'
        finished_at:
          description: When it ended, V(none) as long as it has not.
          type: str
          returned: always
          sample: '2026-11-23T07:56:03.290810+00:00'
        rollback_reason:
          description: Why it was rolled back, V(none) if it was not.
          type: str
          returned: always
          sample: null
    managed_resources:
      description: What ECS made for the service.
      type: list
      elements: dict
      returned: with O(explain=true) or O(managed_resources=true)
      contains:
        kind:
          description: What it is, such as V(loadBalancer).
          type: str
          returned: always
          sample: loadBalancer
        arn:
          description: Its ARN, V(none) as long as there is none.
          type: str
          returned: always
          sample: >-
            arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/ecs-express-gateway-
            alb-8339e89f/nhsgdzlh706jr2vx
        status:
          description: Its status, V(ACTIVE) when it is ready.
          type: str
          returned: always
          sample: ACTIVE
        status_reason:
          description: What ECS says on it, V(none) if nothing.
          type: str
          returned: always
          sample: null
    explanation:
      description: How the newest deployment is doing, and why it fails if it does.
      type: dict
      returned: with O(explain=true)
      contains:
        says:
          description: What ECS says on the deployment.
          type: list
          elements: str
          returned: always
          sample: [deployment SUCCESSFUL in stage CLEAN_UP]
        events:
          description: The service's last events.
          type: list
          elements: str
          returned: always
          sample: [(service tracking) (deployment 4tiS1uQhfSWpZvhKMhA38) deployment completed.]
        resources:
          description: Managed resources that are not active, and why.
          type: list
          elements: str
          returned: always
          sample: []
        tasks:
          description: Tasks, those that failed first, with stopped reason and exit code.
          type: list
          elements: str
          returned: always
          sample: [task f063b3fcb16349cca0ad332a8aaa08c6 RUNNING]
        targets:
          description: Targets of the load balancer that are not healthy, and why.
          type: list
          elements: str
          returned: always
          sample: []
        log:
          description: The last 20 lines of the container's log.
          type: list
          elements: str
          returned: always
          sample:
            - 127.0.0.1 - - [23/Nov/2026 07:56:44] "GET / HTTP/1.1" 200 -
            - 127.0.0.1 - - [23/Nov/2026 07:56:44] "GET / HTTP/1.1" 200 -
            - 127.0.0.1 - - [23/Nov/2026 07:56:44] "GET / HTTP/1.1" 200 -
        log_source:
          description: The log group and stream that they are from, an empty string if there are none.
          type: str
          returned: always
          sample: /ecs/default/tracking ecs/Main/f063b3fcb16349cca0ad332a8aaa08c6
        notes:
          description: What could not be found out, and why.
          type: list
          elements: str
          returned: always
          sample: []
        likely_cause:
          description: The likely cause, an empty string if it is none of the known ones.
          type: str
          returned: always
          sample: ''
        remedy:
          description: What to do about it, an empty string if that is not known.
          type: str
          returned: always
          sample: ''
        text:
          description: All of it, as a text of several lines.
          type: str
          returned: always
          sample: |-
            ECS says: deployment SUCCESSFUL in stage CLEAN_UP
            Event: (service tracking) (deployment 4tiS1uQhfSWpZvhKMhA38) deployment completed.
            Task: task f063b3fcb16349cca0ad332a8aaa08c6 RUNNING
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import show_warnings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import info
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import module as express_module

ARGUMENT_SPEC: dict[str, Any] = {
    "service_name": {"type": "str", "aliases": ["name"]},
    "cluster": {"type": "str", "default": "default"},
    "explain": {"type": "bool", "default": False},
    "managed_resources": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    warnings: list[str] = []
    try:
        services = info.describe(
            make_clients(module),
            cluster=params["cluster"] or "default",
            name=params["service_name"],
            explanations=params["explain"],
            resources=params["managed_resources"],
            warnings=warnings,
        )
    except AnsibleAWSError as e:
        express_module.fail(module, e)
    show_warnings(warnings)
    module.exit_json(changed=False, services=services)


if __name__ == "__main__":
    main()
