#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_express_service
short_description: Manage an Amazon ECS Express Mode service
version_added: 0.1.0
description:
  - Creates, updates and deletes a service of Amazon ECS Express Mode, one container behind a load balancer and a
    certificate that ECS manages.
  - Each update is a canary deployment of about ten minutes. So only what is given is compared, and nothing is sent
    if the service already is as described, however ECS has rewritten the description (order of the environment, its
    own security group, defaults filled in).
  - Waits for the deployment to be V(SUCCESSFUL) and for the load balancer and the other managed resources to be
    V(ACTIVE). The service's status is no sign of either. It is V(ACTIVE) from the first second.
  - A service that a verb of this collection works on, such as M(mlops.mlflow_aws.mlflow_upgrade), is not updated. The
    error says which one, since when, at which step and whose it is.
  - When a deployment fails or does not end in time, the error says what ECS says, which task, target or resource
    failed and why, the last lines of the container's log, and the likely cause with a remedy.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
options:
  service_name:
    description:
      - Name of the service, at most 255 letters, digits, underscores and hyphens. Together with O(cluster) it is
        what the service is found by. Neither can be changed. Another name or another cluster means another service, and
        the present one stays as it is until a task with O(state=absent) names it.
    type: str
    required: true
    aliases: [name]
  cluster:
    description:
      - Name or ARN of the cluster. ECS makes the cluster V(default) by itself, any other must exist.
    type: str
    default: default
  state:
    description:
      - With V(present) the service is created, or updated where it differs from what is given.
      - With V(absent) it is deleted.
    type: str
    choices: [present, absent]
    default: present
  infrastructure_role_arn:
    description:
      - ARN of the role with which ECS makes the load balancer and the other resources. Needed to create a service.
      - It cannot be changed, see O(replace). It must outlive the service, as ECS uses it for the deletion too.
    type: str
  execution_role_arn:
    description:
      - ARN of the role with which ECS pulls the image, reads the secrets and writes the log. Needed to create a
        service, unless O(task_definition_arn) is given.
    type: str
  task_role_arn:
    description:
      - ARN of the role that the container itself has. An empty string takes it away.
    type: str
  primary_container:
    description:
      - The container. Only the suboptions given are compared. Needed to create a service, unless
        O(task_definition_arn) is given.
    type: dict
    suboptions:
      image:
        description: The image, with tag or digest. Needed to create a service.
        type: str
      container_port:
        description: The port that the container listens on. ECS takes 80 if it is not given.
        type: int
      command:
        description:
          - The command, as a list. An empty list goes back to the image's own.
          - Numbers and booleans are passed on as text.
        type: list
        elements: raw
      environment:
        description:
          - Environment variables. The dictionary is the whole of them, an empty one clears all.
          - Every principal that may describe the service or its task definitions can read them, even after its
            deletion, and they are shown by C(--diff). Secrets belong into O(primary_container.secrets). Values whose
            name looks like a secret's are hidden in the output all the same.
          - Numbers and booleans are passed on as text, booleans as V(true) and V(false). Null is an error.
        type: dict
      secrets:
        description:
          - Environment variables that ECS fills with secrets when the container starts, by name. Each value is the
            ARN of a secret of Secrets Manager, optionally followed by C(:json-key:version-stage:version-id), or the
            ARN of a parameter of Systems Manager.
          - The dictionary is the whole of them, an empty one clears all.
          - O(execution_role_arn) must be allowed to read them.
        type: dict
      aws_logs_configuration:
        description:
          - Where in CloudWatch Logs the container's output goes. ECS makes a log group that never expires if it is
            not given.
        type: dict
        suboptions:
          log_group:
            description: Name of the log group. Create it before. The managed policy of the execution role cannot.
            type: str
            required: true
          log_stream_prefix:
            description: Beginning of the names of the log streams.
            type: str
            required: true
      repository_credentials:
        description: Credentials for a private registry that is not Amazon ECR.
        type: dict
        suboptions:
          credentials_parameter:
            description: ARN of the secret of Secrets Manager that holds them.
            type: str
            required: true
  health_check_path:
    description:
      - Path that the load balancer asks for, and which must answer 200. ECS takes V(/) if it is not given.
    type: str
  network_configuration:
    description:
      - Where tasks and load balancer are. Without it, ECS takes the public subnets of the default VPC.
    type: dict
    suboptions:
      subnets:
        description:
          - IDs of at least two subnets in different Availability Zones, for load balancer and tasks alike. With a
            route to an internet gateway the service is public, else it is reachable from within the VPC only.
          - An empty list leaves the choice to ECS, as if it was not given.
        type: list
        elements: str
      security_groups:
        description:
          - IDs of security groups that the tasks have besides the one that ECS makes. An empty list takes all of them
            away but that one.
          - Which one ECS made is read from the service's revision, else from the tag V(AmazonECSManaged)
            (C(ec2:DescribeSecurityGroups)). Where neither can be read, groups that are not given are taken for ECS's.
        type: list
        elements: str
  cpu:
    description:
      - CPU units of a task, 1024 for one vCPU. ECS takes V(1024) if it is not given.
    type: str
  memory:
    description:
      - Memory of a task in MiB. ECS takes V(2048) if it is not given. Fargate allows certain pairs of O(cpu) and
        O(memory) only.
    type: str
  cpu_architecture:
    description:
      - Processor architecture of the image. Needs a botocore that knows the member C(cpuArchitecture).
    type: str
    choices: [X86_64, ARM64]
  scaling_target:
    description:
      - How many tasks there are. ECS takes 1 to 20 tasks and a CPU usage of 60 % if it is not given.
    type: dict
    suboptions:
      min_task_count:
        description: The least number of tasks.
        type: int
      max_task_count:
        description: The greatest number of tasks.
        type: int
      auto_scaling_metric:
        description: What decides on the number.
        type: str
        choices: [AVERAGE_CPU, AVERAGE_MEMORY, REQUEST_COUNT_PER_TARGET]
      auto_scaling_target_value:
        description: The value of the metric to keep to, in percent or requests.
        type: int
  task_definition_arn:
    description:
      - ARN of a task definition of your own, with a container named V(Main) that has one named TCP port mapping,
        instead of O(primary_container), O(execution_role_arn), O(task_role_arn), O(cpu), O(memory) and
        O(cpu_architecture).
      - Needs botocore 1.43.32 or later.
    type: str
  allowed_cidrs:
    description:
      - Networks, in CIDR notation, from which the service may be called; all others get 404. They are set on the
        service's listener rule as M(mlops.mlflow_aws.ecs_express_allow_list) does, which describes the limits.
      - A new service is created with no tasks, and gets those of O(scaling_target) when its rule admits these networks
        only, so that no other network is ever answered. This is waited for with O(wait=false), too. If the task fails
        before that, run it again; until then the service has no tasks.
      - Left out or empty, the rule stays as it is, and that of a new service admits all networks.
    type: list
    elements: str
  deployment_configuration:
    description:
      - How updates of the service are carried out. Only the suboptions given are compared, and changing them starts no
        deployment. ECS takes them by C(ecs:UpdateService), which the caller must be allowed to call.
      - They are set before an update begins. With a new service they are set after its first deployment, which they do
        not concern. With O(wait=false) that is left to the next run.
    type: dict
    suboptions:
      rollback_on_alarm:
        description:
          - Whether an update is rolled back when the alarm that ECS makes for the service goes off. It does when more
            than 1 % of the answers of the old or the new revision are 4xx or 5xx in two minutes of three. Up to four
            4xx in a minute are overlooked. ECS takes V(true) if it is not given.
          - A healthy server answers 4xx to clients that are not logged in yet, ask for what is not there, or search a
            public address for weaknesses. With V(false) they roll nothing back. Tasks that do not start, end or do not
            pass their health checks still do, by the circuit breaker.
        type: bool
      canary_percent:
        description:
          - Percentage of the requests that the new revision gets first, from 0.1 to 100. ECS takes 5 if it is not
            given.
        type: float
      canary_bake_time_in_minutes:
        description:
          - How long the new revision has only O(deployment_configuration.canary_percent) of the requests, in minutes,
            from 0 to 1440. ECS takes 3 if it is not given.
        type: int
      bake_time_in_minutes:
        description:
          - How long the old revision is kept after all requests have gone to the new one, in minutes, from 0 to 1440.
            ECS takes 3 if it is not given.
        type: int
  wait:
    description:
      - Wait for the deployment, or for the end of the deletion. The wait is taken up by running the same task again,
        also after a run with V(false).
      - An older service of the name that is V(DRAINING) is waited for in any case, as nothing can be created before.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait at most, in seconds, for everything together. The first service of a VPC takes 10 to 25
        minutes.
    type: int
    default: 1800
  wait_delay:
    description:
      - Polling interval in seconds.
    type: int
    default: 10
  force_new_deployment:
    description:
      - Start a deployment even if nothing differs, so that a tag such as V(latest) is resolved again. Always reports
        a change.
    type: bool
    default: false
  replace:
    description:
      - Delete the service and create it again if O(infrastructure_role_arn) differs, which cannot be changed
        otherwise. What is not given is taken over from the old service. The service is interrupted and gets another
        URL. O(wait_timeout) counts anew after the deletion.
      - Nothing is deleted if something is missing that the creation needs, if IAM does not know the new role or says
        that it does not let ECS do what it must, or if it is not known which of the security groups are ECS's own.
    type: bool
    default: false
  recreate_stuck:
    description:
      - What to do with a service that is stuck for ever. It happens when ECS is denied a call because
        roles made a moment ago were not yet effective, and does not repeat it.
      - With V(true) the service is deleted and created again, once, with O(wait_timeout) counted anew, provided that it
        is certain that no task of it was ever started. RV(recreated) and a warning say so.
      - With V(false), or if that is not certain, the task fails and explains.
      - Only takes place with O(wait=true).
    type: bool
    default: true
  stall_timeout:
    description:
      - After how many seconds without any change a service in which nothing has ever run is taken for stuck. A resource
        that ECS was denied, and says so, makes it stuck at once.
    type: int
    default: 900
  rolled_back:
    description:
      - What to do if the last deployment, of just what this task describes, was rolled back or stopped before this run
        began, for instance after a run with O(wait=false).
      - With V(retry) a warning and RV(rolled_back) say so, and the deployment is tried again.
      - With V(fail) the task fails and explains what went wrong, which makes it a wait that sees failures of the past.
        O(force_new_deployment) overrides it.
    type: str
    choices: [retry, fail]
    default: retry
  variables:
    description:
      - Names that error messages and remedies use in place of the options' own, for a role that sets the options from
        variables. For example, V(team_memory) for O(memory).
      - An option that is not in it keeps its name.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows exactly the fields that change. Values of the environment that look like secrets are hidden.
  idempotent:
    support: partial
    details: Not with O(force_new_deployment=true).
notes:
  - A service whose only deployment failed is deployed again, even though nothing differs, because the service as
    described is not running.
  - Errors that AWS answers with while roles made a moment ago are not yet effective are repeated for at most four
    minutes. Throttled calls are repeated with growing, random pauses. While a deployment or deletion is waited for, AWS
    may be out of reach for up to five minutes.
  - Before a service is created, IAM is asked (C(iam:GetRole), C(iam:SimulatePrincipalPolicy)) until it knows the
    infrastructure role and what it may, for at most one minute. Credentials that may not ask can create the service all
    the same.
  - While it waits, each change is shown on standard error, with stage, percentage of traffic, resources still in the
    making, elapsed and usual time. That needs a local connection, and neither C(async) nor C(no_log). The variable
    C(mlflow_live_progress) set to V(false) switches it off. RV(progress) holds the same lines in any case.
  - Values of O(primary_container.environment) that look like secrets are hidden in the echo of the arguments (C(-vvv))
    and in the system's log too. Ansible's own debug output (E(ANSIBLE_DEBUG), C(-vvvvv) with pipelining) shows
    everything nevertheless, and so does AWS to every principal that may describe the service.
seealso:
  - module: mlops.mlflow_aws.ecs_express_service_info
    description: Describes services, and explains what is wrong with them.
  - module: mlops.mlflow_aws.ecs_express_allow_list
    description: Says from which networks a service may be called.
  - module: mlops.mlflow_aws.iam_service_role
    description: Makes the roles, and waits until they are effective.
  - module: mlops.mlflow_aws.iam_service_linked_role
    description: Makes the roles that ECS and the load balancer need besides.
  - name: Amazon ECS Express Mode
    description: The developer guide.
    link: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-overview.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
"""

EXAMPLES = r"""
- name: A service with everything that should not be left to defaults
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    infrastructure_role_arn: arn:aws:iam::123456789012:role/tracking-infrastructure-role
    execution_role_arn: arn:aws:iam::123456789012:role/tracking-execution-role
    task_role_arn: arn:aws:iam::123456789012:role/tracking-task-role
    primary_container:
      image: public.ecr.aws/docker/library/python:3.11-slim
      container_port: 5000
      command: [python, -m, http.server, "5000"]
      environment:
        GREETING: hello
      secrets:
        DATABASE_PASSWORD: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking-AbCdEf:password::"
      aws_logs_configuration:
        log_group: /ecs/default/tracking
        log_stream_prefix: ecs
    health_check_path: /
    cpu: "1024"
    memory: "2048"
    scaling_target:
      min_task_count: 1
      max_task_count: 1
      auto_scaling_metric: AVERAGE_CPU
      auto_scaling_target_value: 60
    tags:
      team: research
  register: tracking

- name: Where it is
  ansible.builtin.debug:
    var: tracking.url

- name: Another image, everything else as it is
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    primary_container:
      image: public.ecr.aws/docker/library/python:3.11-slim-trixie

- name: Pull the image behind an unchanged tag again
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    force_new_deployment: true

- name: Begin now, wait later
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    memory: "4096"
    wait: false

- name: Wait for it by the same task, and do not begin again if ECS has rolled it back meanwhile
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    memory: "4096"
    wait: true
    rolled_back: fail

- name: A quicker update that refused clients do not roll back
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    memory: "4096"
    deployment_configuration:
      rollback_on_alarm: false
      canary_bake_time_in_minutes: 0
      bake_time_in_minutes: 1

- name: Delete the service, and wait until its name and its security group are free
  mlops.mlflow_aws.ecs_express_service:
    service_name: tracking
    state: absent
"""

RETURN = r"""
service:
  description:
    - The service as it is after the run, in check mode as it would be. Empty if there is none.
    - Fields that ECS does not report are missing.
  type: dict
  returned: success
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
      returned: always
      sample: arn:aws:iam::123456789012:role/tracking-infrastructure-role
    current_deployment:
      description: The ARN of the deployment that is under way, V(none) if there is none or ECS does not report it.
      type: str
      returned: when the service exists
      sample: arn:aws:ecs:eu-central-1:123456789012:service-deployment/default/tracking/4tiS1uQhfSWpZvhKMhA38
    created_at:
      description: When the service was created.
      type: str
      returned: when the service exists
      sample: '2026-11-23T07:55:31.405689+00:00'
    updated_at:
      description: When it was changed last, V(none) if ECS does not report it.
      type: str
      returned: when the service exists
      sample: '2026-11-23T07:55:31.405713+00:00'
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
      sample: arn:aws:ecs:eu-central-1:123456789012:task-definition/default-tracking:2
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
      sample: '2048'
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
          sample: public.ecr.aws/docker/library/python:3.11-slim
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
      returned: when the service exists
      sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/8547274036466928504
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
          sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/8547274036466928504
        created_at:
          description: When it was made.
          type: str
          returned: always
          sample: '2026-11-23T07:55:31.405711+00:00'
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
url:
  description: The service's URL, an empty string until ECS reports its endpoint.
  type: str
  returned: success
  sample: https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
endpoint:
  description: The host name in RV(url). It cannot be computed from the name, and is another one after a re-creation.
  type: str
  returned: success
  sample: tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
service_arn:
  description: The service's ARN, an empty string if there is no service.
  type: str
  returned: always, unless the call of AWS itself failed
  sample: arn:aws:ecs:eu-central-1:123456789012:service/default/tracking
deployment:
  description:
    - The deployment that this run began or waited for, or the newest one. With O(wait=false), what a later wait
      needs.
  type: dict
  returned: when there is one
  contains: &deployment
    service_deployment_arn:
      description: Its ARN.
      type: str
      returned: always
      sample: arn:aws:ecs:eu-central-1:123456789012:service-deployment/default/tracking/bAZbqk2mVIdDhmcy8u5MN
    status:
      description: Its status, such as V(IN_PROGRESS), V(SUCCESSFUL) or V(ROLLBACK_SUCCESSFUL). There is no V(FAILED).
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
      sample: arn:aws:ecs:eu-central-1:123456789012:service-revision/default/tracking/8547274036466928504
    traffic_percent:
      description: Percentage of the requests that this revision has, V(none) if ECS does not report it.
      type: float
      returned: always
      sample: 100
    created_at:
      description: When it started.
      type: str
      returned: always
      sample: '2026-11-23T07:55:31.463106+00:00'
    finished_at:
      description: When it ended, V(none) as long as it has not.
      type: str
      returned: always
      sample: '2026-11-23T07:55:36.728738+00:00'
    rollback_reason:
      description: Why it was rolled back, V(none) if it was not.
      type: str
      returned: always
      sample: null
deployment_configuration:
  description: How updates of the service are carried out after this run.
  type: dict
  returned: when O(deployment_configuration) is given, and ECS was asked
  contains:
    rollback_on_alarm:
      description: See O(deployment_configuration.rollback_on_alarm).
      type: bool
      returned: when ECS reports it, or it was given
      sample: false
    canary_percent:
      description: See O(deployment_configuration.canary_percent).
      type: float
      returned: when ECS reports it, or it was given
      sample: 5.0
    canary_bake_time_in_minutes:
      description: See O(deployment_configuration.canary_bake_time_in_minutes).
      type: int
      returned: when ECS reports it, or it was given
      sample: 0
    bake_time_in_minutes:
      description: See O(deployment_configuration.bake_time_in_minutes).
      type: int
      returned: when ECS reports it, or it was given
      sample: 1
recreated:
  description: Whether the service was stuck and therefore deleted and created again.
  type: bool
  returned: always, unless the call of AWS itself failed
  sample: true
rolled_back:
  description: The deployment that was rolled back before this run and is tried again by it.
  type: dict
  returned: when there is one
  contains: *deployment
progress:
  description: Progress during the wait, a line for each change, with the seconds since its start.
  type: list
  elements: str
  returned: always, unless the call of AWS itself failed
  sample:
    - 0s service DRAINING
    - 3s service INACTIVE
    - 3s IN_PROGRESS, SCALE_UP, 0 % of traffic, 0 of 1 tasks running
explanation:
  description: What the error message says of a failed deployment, in parts.
  type: dict
  returned: when a deployment failed or did not end in time
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
"""

from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import show_warnings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import allow_list
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployment_configuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import module as express_module
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.lifecycle import ensure_absent
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.lifecycle import ensure_present
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import refuse_if_locked

ARGUMENT_SPEC: dict[str, Any] = {
    "service_name": {"type": "str", "required": True, "aliases": ["name"]},
    "cluster": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "infrastructure_role_arn": {"type": "str"},
    "execution_role_arn": {"type": "str"},
    "task_role_arn": {"type": "str"},
    "primary_container": {
        "type": "dict",
        "options": {
            "image": {"type": "str"},
            "container_port": {"type": "int"},
            "command": {"type": "list", "elements": "raw"},
            # Not no_log: each occurrence of a short value would be blotted out of the whole output.
            "environment": {"type": "dict"},
            "secrets": {"type": "dict", "no_log": False},
            "aws_logs_configuration": {
                "type": "dict",
                "options": {
                    "log_group": {"type": "str", "required": True},
                    "log_stream_prefix": {"type": "str", "required": True},
                },
            },
            "repository_credentials": {
                "type": "dict",
                "no_log": False,
                "options": {"credentials_parameter": {"type": "str", "required": True, "no_log": False}},
            },
        },
    },
    "health_check_path": {"type": "str"},
    "network_configuration": {
        "type": "dict",
        "options": {
            "subnets": {"type": "list", "elements": "str"},
            "security_groups": {"type": "list", "elements": "str"},
        },
    },
    "cpu": {"type": "str"},
    "memory": {"type": "str"},
    "cpu_architecture": {"type": "str", "choices": ["X86_64", "ARM64"]},
    "scaling_target": {
        "type": "dict",
        "options": {
            "min_task_count": {"type": "int"},
            "max_task_count": {"type": "int"},
            "auto_scaling_metric": {
                "type": "str",
                "choices": ["AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET"],
            },
            "auto_scaling_target_value": {"type": "int"},
        },
    },
    "task_definition_arn": {"type": "str"},
    "deployment_configuration": {
        "type": "dict",
        "options": {
            "rollback_on_alarm": {"type": "bool"},
            "canary_percent": {"type": "float"},
            "canary_bake_time_in_minutes": {"type": "int"},
            "bake_time_in_minutes": {"type": "int"},
        },
    },
    "allowed_cidrs": {"type": "list", "elements": "str"},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 1800},
    "wait_delay": {"type": "int", "default": 10},
    "force_new_deployment": {"type": "bool", "default": False},
    "replace": {"type": "bool", "default": False},
    "recreate_stuck": {"type": "bool", "default": True},
    "stall_timeout": {"type": "int", "default": 900},
    "rolled_back": {"type": "str", "choices": ["retry", "fail"], "default": "retry"},
    "variables": {"type": "dict", "default": {}},
}

# One list each: task_definition_arn excludes them singly, they do not exclude each other.
MUTUALLY_EXCLUSIVE = [
    ["task_definition_arn", other]
    for other in ("primary_container", "execution_role_arn", "task_role_arn", "cpu", "memory", "cpu_architecture")
]


#: What a message names for lifting the lock of a verb.
LIFT = "-e mlflow_unlock=true, or the module mlflow_deployment_lock"


def main(make_waiter: Callable[..., Waiter] = Waiter) -> None:
    module = express_module.make_module(
        argument_spec=ARGUMENT_SPEC, mutually_exclusive=MUTUALLY_EXCLUSIVE, supports_check_mode=True
    )
    params = module.params
    for name, least in (("wait_timeout", 1), ("wait_delay", 1), ("stall_timeout", 1)):
        if params[name] < least:
            module.fail_json(msg=f"{name} is {params[name]}, but must be {least} second at least")
    try:
        transformations.check_service_name(params["service_name"])
        request = Request(
            name=params["service_name"],
            cluster=params["cluster"] or "default",
            desired=transformations.desired(params),
            infrastructure_role_arn=params["infrastructure_role_arn"],
            tags=transformations.given_tags(params["tags"]),
            purge_tags=params["purge_tags"],
            wait=params["wait"],
            wait_timeout=params["wait_timeout"],
            wait_delay=params["wait_delay"],
            force=params["force_new_deployment"],
            replace=params["replace"],
            recreate_stuck=params["recreate_stuck"],
            stall_timeout=params["stall_timeout"],
            rolled_back=params["rolled_back"],
            deployment_configuration=deployment_configuration.desired(params["deployment_configuration"]),
            check_mode=module.check_mode,
            allowed_cidrs=allow_list.networks(params["allowed_cidrs"] or []),
            option_names=OptionNames(params["variables"]),
            refuse=lambda tags: refuse_if_locked(
                tags, params["service_name"], LIFT, datetime.now(UTC), "The service was not updated."
            ),
        )
        progress = Progress(f"Express service {request.name}", hidden=module.no_log_values)
        run = Run(make_clients(module), request, progress, make_waiter)
        result = ensure_present(run) if params["state"] == "present" else ensure_absent(run)
    except AnsibleAWSError as e:
        express_module.fail(module, e)
    service = result.service or {}
    show_warnings(result.warnings)
    returned: dict[str, Any] = {
        "changed": result.changed,
        "service": service,
        "service_arn": service.get("service_arn") or "",
        "endpoint": service.get("endpoint") or "",
        "url": service.get("url") or "",
        "progress": result.progress,
        "recreated": result.recreated,
        "diff": {"before": result.before, "after": result.after},
    }
    if result.deployment:
        returned["deployment"] = result.deployment
    if params["deployment_configuration"] and result.deployment_configuration:
        returned["deployment_configuration"] = result.deployment_configuration
    if result.rolled_back:
        returned["rolled_back"] = result.rolled_back
    module.exit_json(**returned)


if __name__ == "__main__":
    main()
