# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that ECS manages for a service, made and removed through the API as the infrastructure role.

So a wrong role fails here as on AWS: asynchronously, once, and for good. Names and settings: ECS developer guide,
express-service-work; names of load balancers, target groups and groups as users report them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import time
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from botocore.exceptions import ClientError

from ...context import TrustError
from . import alarm
from .models import ManagedResource
from .models import Service

if TYPE_CHECKING:
    from ...context import Context

log = logging.getLogger(__name__)

PRINCIPAL = "ecs.amazonaws.com"
LOAD_BALANCER_SECONDS = 240
CERTIFICATE_SECONDS = 60
SMALL_SECONDS = 3
SERVICES_PER_LOAD_BALANCER = 25
FREE_ADDRESSES = 8
COLORS = ("blue", "green")

_METRICS = {
    "AVERAGE_CPU": "ECSServiceAverageCPUUtilization",
    "AVERAGE_MEMORY": "ECSServiceAverageMemoryUtilization",
    "REQUEST_COUNT_PER_TARGET": "ALBRequestCountPerTarget",
}


class ProvisioningError(Exception):
    """A managed resource could not be made. ECS does not try again."""


@dataclass
class Gateway:
    """A load balancer that the Express services of one VPC and scheme share.

    :arg zones: fixed by the first service; later ones must have the same.
    :arg leaving: those of its services that are being deleted.
    """

    name: str
    vpc: str
    public: bool
    zones: list[str]
    subnets: list[str]
    load_balancer: str = ""
    security_group: str = ""
    listener: str = ""
    created: float = field(default_factory=time.time)
    services: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)

    @property
    def closing(self) -> bool:
        """Whether nobody stays, so that the load balancer goes too and no new service may join."""
        return set(self.services) <= set(self.leaving)

    @property
    def scheme(self) -> str:
        """ELB's word for it."""
        return "internet-facing" if self.public else "internal"


def group_arn(region: str, account: str, group: str) -> str:
    """The ARN of a security group."""
    return f"arn:aws:ec2:{region}:{account}:security-group/{group}"


def plan(service: Service) -> None:
    """Writes down what is going to be made, all of it PROVISIONING."""
    configuration = service.revisions[service.latest].configuration
    scaling = configuration["scalingTarget"]
    scheme = "internet-facing" if service.public else "internal"
    port = configuration["primaryContainer"]["containerPort"]
    service.managed = {
        "load_balancer_security_group": ManagedResource(),
        "load_balancer": ManagedResource(details={"scheme": scheme}),
        "listener": ManagedResource(),
        "certificate": ManagedResource(details={"domainName": service.host}),
        "rule": ManagedResource(),
        "service_security_group": ManagedResource(),
        "scalable_target": ManagedResource(
            details={"minCapacity": scaling["minTaskCount"], "maxCapacity": scaling["maxTaskCount"]}
        ),
        "scaling_policy": ManagedResource(details=_policy_details(scaling)),
        "alarm": ManagedResource(),
    }
    for color in COLORS:
        details = _group_details(port, configuration["healthCheckPath"])
        service.managed[f"target_group_{color}"] = ManagedResource(details=details)
    logs = configuration["primaryContainer"].get("awsLogsConfiguration", {}).get("logGroup", "")
    if service.overrides.get("log_group") == logs and logs:
        service.managed["log_group"] = ManagedResource(details={"logGroupName": logs})


def _group_details(port: int, path: str) -> dict[str, Any]:
    return {"healthCheckPath": path.partition("?")[0], "healthCheckPort": port, "port": port, "path": path}


def _policy_details(scaling: dict[str, Any]) -> dict[str, Any]:
    return {
        "policyType": "TargetTrackingScaling",
        "targetValue": float(scaling["autoScalingTargetValue"]),
        "metric": _METRICS[scaling["autoScalingMetric"]],
    }


class Provisioner:
    """Makes, changes and removes managed resources."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.gateways: dict[str, Gateway] = {}
        self.certificates: dict[str, list[str]] = {}
        self._locks: dict[tuple[str, bool], asyncio.Lock] = {}

    # Calls ----------------------------------------------------------------------------------------------------------

    async def call(self, service: Service, api: str, operation: str, **params: Any) -> dict[str, Any]:
        """One call as the service's infrastructure role."""
        return await self.ctx.aws(api, operation, role_arn=service.infrastructure_role, principal=PRINCIPAL, **params)

    def tags(self, service: Service) -> dict[str, str]:
        """The tags of a new managed resource: ECS's own mark and the service's."""
        return {**service.tags, "AmazonECSManaged": "true"}

    def _elb_tags(self, service: Service) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags(service).items()]

    def _specification(self, service: Service, kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": self._elb_tags(service)}]

    def _group_arn(self, group: str) -> str:
        return group_arn(self.ctx.settings.region, self.ctx.settings.account_id, group)

    # Making ---------------------------------------------------------------------------------------------------------

    async def provision(self, service: Service) -> None:
        """Makes what is not there yet; may be called again after a restart.

        :raises ProvisioningError: AWS refused one of the calls.
        """
        gateway_steps = self._provision_gateway(service)
        certificate = self._provision_certificate(service)
        results = await asyncio.gather(gateway_steps, certificate, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        steps = {
            "listener": self._make_listener,
            "target_group_blue": self._make_blue,
            "target_group_green": self._make_green,
            "rule": self._make_rule,
            "log_group": self._make_log_group,
            "scalable_target": self._make_scalable_target,
            "scaling_policy": self._make_scaling_policy,
            "alarm": self._make_alarm,
        }
        for name, make in steps.items():
            if name in service.managed:
                await self._step(service, name, make, SMALL_SECONDS)

    async def _provision_gateway(self, service: Service) -> None:
        lock = self._locks.setdefault((service.vpc, service.public), asyncio.Lock())
        async with lock:
            self._join(service)
            await self._step(service, "load_balancer_security_group", self._make_balancer_group, SMALL_SECONDS)
            await self._step(service, "service_security_group", self._make_service_group, SMALL_SECONDS)
            await self._step(service, "load_balancer", self._make_load_balancer, 0)

    async def _provision_certificate(self, service: Service) -> None:
        await self._step(service, "certificate", self._make_certificate, CERTIFICATE_SECONDS)
        self.ctx.balancer.secure(service.arn)

    async def _step(self, service: Service, name: str, make: Any, seconds: float) -> None:
        """One resource: made, then ACTIVE after the time it takes."""
        managed = service.managed[name]
        if managed.status == "ACTIVE":
            return
        if service.status != "ACTIVE":
            raise ProvisioningError("The service is being deleted.")
        try:
            if not managed.arn:
                managed.arn = await make(service)
                self.ctx.changed()
            await self.ctx.clock.sleep(seconds)
        except (ClientError, TrustError, ProvisioningError) as error:
            managed.becomes("FAILED", message_of(error))
            log.warning("%s of %s: %s", name, service.arn, error)
            self.ctx.changed()
            raise ProvisioningError(message_of(error)) from error
        managed.becomes("ACTIVE")
        self.ctx.changed()

    def gateway(self, service: Service) -> Gateway | None:
        """The gateway that a service has joined."""
        return next((item for item in self.gateways.values() if service.arn in item.services), None)

    def _join(self, service: Service) -> Gateway:
        found = self.gateway(service)
        if found is not None:
            return found
        if service.status != "ACTIVE":
            raise ProvisioningError("The service is being deleted.")
        for gateway in self.gateways.values():
            same = gateway.vpc == service.vpc and gateway.public == service.public and gateway.load_balancer
            if same and not gateway.closing and len(gateway.services) < SERVICES_PER_LOAD_BALANCER:
                if gateway.zones != service.overrides["zones"]:
                    reason = (
                        f"The Availability Zones of the service's subnets ({', '.join(service.overrides['zones'])}) do "
                        f"not match those of the shared load balancer ({', '.join(gateway.zones)})."
                    )
                    service.managed["load_balancer"].becomes("FAILED", reason)
                    raise ProvisioningError(reason)
                gateway.services.append(service.arn)
                return gateway
        gateway = Gateway(
            name=f"ecs-express-gateway-alb-{secrets.token_hex(4)}",
            vpc=service.vpc,
            public=service.public,
            zones=service.overrides["zones"],
            subnets=service.overrides["subnets"],
            services=[service.arn],
        )
        self.gateways[gateway.name] = gateway
        return gateway

    def own_gateway(self, service: Service) -> Gateway:
        gateway = self.gateway(service)
        if gateway is None:
            raise ProvisioningError("The service has no load balancer.")
        return gateway

    async def _make_balancer_group(self, service: Service) -> str:
        gateway = self.own_gateway(service)
        if not gateway.security_group:
            answer = await self.call(
                service,
                "ec2",
                "create_security_group",
                GroupName=f"ecs-express-gateway-alb-sg-{int(time.time() * 1000)}",
                Description="ManagedResource by Amazon ECS Express Mode",
                VpcId=service.vpc,
                TagSpecifications=self._specification(service, "security-group"),
            )
            group = answer["GroupId"]
            source = "0.0.0.0/0" if service.public else await self._vpc_range(service)
            await self.call(
                service,
                "ec2",
                "authorize_security_group_ingress",
                GroupId=group,
                IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": source}]}],
                TagSpecifications=self._specification(service, "security-group-rule"),
            )
            gateway.security_group = group
        return self._group_arn(gateway.security_group)

    async def _vpc_range(self, service: Service) -> str:
        answer = await self.call(service, "ec2", "describe_vpcs", VpcIds=[service.vpc])
        return str(answer["Vpcs"][0]["CidrBlock"])

    async def _make_service_group(self, service: Service) -> str:
        answer = await self.call(
            service,
            "ec2",
            "create_security_group",
            GroupName=f"{service.cluster}-{service.name}-{service.vpc}",
            Description="ManagedResource by Amazon ECS Express Mode",
            VpcId=service.vpc,
            TagSpecifications=self._specification(service, "security-group"),
        )
        group = str(answer["GroupId"])
        port = service.revisions[service.latest].configuration["primaryContainer"]["containerPort"]
        await self.open_port(service, group, port)
        service.overrides["ports"] = [port]
        return self._group_arn(group)

    async def open_port(self, service: Service, group: str, port: int) -> None:
        """Lets the load balancer reach the tasks on a port, in both groups' rules."""
        gateway = self.own_gateway(service)
        for operation, owner, other in (
            ("authorize_security_group_ingress", group, gateway.security_group),
            ("authorize_security_group_egress", gateway.security_group, group),
        ):
            await self.call(
                service,
                "ec2",
                operation,
                GroupId=owner,
                IpPermissions=[
                    {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": other}]}
                ],
                TagSpecifications=self._specification(service, "security-group-rule"),
            )

    async def _make_load_balancer(self, service: Service) -> str:
        gateway = self.own_gateway(service)
        managed = service.managed["load_balancer"]
        if not gateway.load_balancer:
            await self._service_linked_role(service)
            await self._check_free_addresses(gateway.subnets)
            answer = await self.call(
                service,
                "elbv2",
                "create_load_balancer",
                Name=gateway.name,
                Subnets=gateway.subnets,
                SecurityGroups=[gateway.security_group],
                Scheme=gateway.scheme,
                Type="application",
                IpAddressType="ipv4",
                Tags=self._elb_tags(service),
            )
            gateway.load_balancer = answer["LoadBalancers"][0]["LoadBalancerArn"]
            gateway.created = time.time()
            managed.arn = gateway.load_balancer
            self.ctx.changed()
        managed.details |= {"subnetIds": gateway.subnets, "securityGroupIds": [gateway.security_group]}
        left = self.ctx.clock.real(LOAD_BALANCER_SECONDS) - (time.time() - gateway.created)
        await asyncio.sleep(max(0.0, left))
        return gateway.load_balancer

    async def _check_free_addresses(self, subnets: list[str]) -> None:
        """ELB's own check, which ministack leaves out: eight free addresses in each subnet.

        Elastic Load Balancing User Guide, "Subnets for your load balancer"; the message as users report it.
        """
        answer = await self.ctx.aws("ec2", "describe_subnets", SubnetIds=subnets)
        for subnet in answer["Subnets"]:
            if subnet["AvailableIpAddressCount"] < FREE_ADDRESSES:
                message = (
                    f"Not enough IP space available in {subnet['SubnetId']}. ELB requires at least {FREE_ADDRESSES} "
                    "free IP addresses in each subnet."
                )
                raise ClientError({"Error": {"Code": "InvalidSubnet", "Message": message}}, "CreateLoadBalancer")

    async def _service_linked_role(self, service: Service) -> None:
        """ELB's service-linked role: while it is missing, CreateLoadBalancer asks for more than the managed policy has.

        DescribeAccountAttributes is what users found refused (CloudTrail); the role itself ECS may create.
        """
        name = "elasticloadbalancing.amazonaws.com"
        roles = await self.ctx.aws("iam", "list_roles", PathPrefix=f"/aws-service-role/{name}/")
        if not roles["Roles"]:
            await self.call(service, "ec2", "describe_account_attributes")
            await self.call(service, "iam", "create_service_linked_role", AWSServiceName=name)

    async def _make_certificate(self, service: Service) -> str:
        answer = await self.call(
            service,
            "acm",
            "request_certificate",
            DomainName=service.host,
            ValidationMethod="DNS",
            Tags=self._elb_tags(service),
        )
        return str(answer["CertificateArn"])

    async def _make_listener(self, service: Service) -> str:
        gateway = self.own_gateway(service)
        certificate = service.managed["certificate"].arn
        if gateway.listener:
            await self.call(
                service,
                "elbv2",
                "add_listener_certificates",
                ListenerArn=gateway.listener,
                Certificates=[{"CertificateArn": certificate}],
            )
        else:
            answer = await self.call(
                service,
                "elbv2",
                "create_listener",
                LoadBalancerArn=gateway.load_balancer,
                Protocol="HTTPS",
                Port=443,
                Certificates=[{"CertificateArn": certificate}],
                DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
                Tags=self._elb_tags(service),
            )
            gateway.listener = answer["Listeners"][0]["ListenerArn"]
        return gateway.listener

    async def _make_blue(self, service: Service) -> str:
        return await self.make_target_group(service, "blue")

    async def _make_green(self, service: Service) -> str:
        return await self.make_target_group(service, "green")

    async def make_target_group(self, service: Service, color: str) -> str:
        """A target group with the port and health check that are written down for its color."""
        details = service.managed[f"target_group_{color}"].details
        answer = await self.call(
            service,
            "elbv2",
            "create_target_group",
            Name=f"ecs-gateway-tg-{secrets.token_hex(9)[:17]}",
            Protocol="HTTP",
            ProtocolVersion="HTTP1",
            Port=details["port"],
            VpcId=service.vpc,
            TargetType="ip",
            HealthCheckPath=details["path"],
            HealthCheckIntervalSeconds=30,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=5,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200"},
            Tags=self._elb_tags(service),
        )
        arn = str(answer["TargetGroups"][0]["TargetGroupArn"])
        self.ctx.balancer.add_group(arn, details["path"])
        return arn

    def _forward(self, service: Service, weights: dict[str, float]) -> list[dict[str, Any]]:
        groups = [
            {
                "TargetGroupArn": service.managed[f"target_group_{color}"].arn,
                "Weight": round(weights.get(color, 0)),
            }
            for color in COLORS
        ]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    async def _make_rule(self, service: Service) -> str:
        gateway = self.own_gateway(service)
        rules = await self.call(service, "elbv2", "describe_rules", ListenerArn=gateway.listener)
        taken = {rule["Priority"] for rule in rules["Rules"]}
        priority = next(number for number in range(1, 50001) if str(number) not in taken)
        answer = await self.call(
            service,
            "elbv2",
            "create_rule",
            ListenerArn=gateway.listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [service.host]}}],
            Actions=self._forward(service, {"blue": 100}),
            Tags=self._elb_tags(service),
        )
        return str(answer["Rules"][0]["RuleArn"])

    async def shift(self, service: Service, weights: dict[str, float]) -> None:
        """Shares the traffic between the two target groups: in the listener's rule and for real.

        :arg weights: per color, 0 to 100.
        """
        actions = self._forward(service, weights)
        await self.call(service, "elbv2", "modify_rule", RuleArn=service.managed["rule"].arn, Actions=actions)
        real = {service.managed[f"target_group_{color}"].arn: weight for color, weight in weights.items() if weight}
        self.ctx.balancer.weigh(service.arn, real)

    async def refresh_target_group(self, service: Service, color: str, port: int, path: str) -> None:
        """Gives a revision's idle target group the revision's port and health check.

        The role may not modify target groups, so a group that does not fit is replaced.
        """
        managed = service.managed[f"target_group_{color}"]
        if managed.details == _group_details(port, path) and managed.arn in self.ctx.balancer.groups:
            return
        old = managed.arn
        managed.details = _group_details(port, path)
        managed.becomes("PROVISIONING")
        managed.arn = await self.make_target_group(service, color)
        managed.becomes("ACTIVE")
        if old:
            # A target group that a rule names cannot be deleted, whatever its weight.
            serving = service.revisions[service.stable].color if service.stable else color
            actions = self._forward(service, {serving: 100})
            await self.call(service, "elbv2", "modify_rule", RuleArn=service.managed["rule"].arn, Actions=actions)
            await self.call(service, "elbv2", "delete_target_group", TargetGroupArn=old)
            self.ctx.balancer.drop_group(old)
        ports = service.overrides.setdefault("ports", [])
        if port not in ports:
            await self.open_port(service, service.managed["service_security_group"].arn.rsplit("/", 1)[-1], port)
            ports.append(port)

    async def _make_log_group(self, service: Service) -> str:
        name = service.managed["log_group"].details["logGroupName"]
        await self.call(service, "logs", "create_log_group", logGroupName=name, tags=self.tags(service))
        return f"arn:aws:logs:{self.ctx.settings.region}:{self.ctx.settings.account_id}:log-group:{name}"

    def scaling_id(self, service: Service) -> dict[str, str]:
        return {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{service.cluster}/{service.name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }

    async def _make_scalable_target(self, service: Service) -> str:
        details = service.managed["scalable_target"].details
        answer = await self.call(
            service,
            "application-autoscaling",
            "register_scalable_target",
            **self.scaling_id(service),
            MinCapacity=details["minCapacity"],
            MaxCapacity=details["maxCapacity"],
            Tags=self.tags(service),
        )
        return str(answer["ScalableTargetARN"])

    async def _make_scaling_policy(self, service: Service) -> str:
        details = service.managed["scaling_policy"].details
        specification: dict[str, Any] = {"PredefinedMetricType": details["metric"]}
        if details["metric"] == "ALBRequestCountPerTarget":
            balancer = self.own_gateway(service).load_balancer.split(":loadbalancer/")[-1]
            group = service.managed["target_group_blue"].arn.rsplit(":", 1)[-1]
            specification["ResourceLabel"] = f"{balancer}/{group}"
        answer = await self.call(
            service,
            "application-autoscaling",
            "put_scaling_policy",
            **self.scaling_id(service),
            PolicyName=f"{service.cluster}-{service.name}-target-tracking",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": details["targetValue"],
                "PredefinedMetricSpecification": specification,
            },
        )
        return str(answer["PolicyARN"])

    async def rescale(self, service: Service, scaling: dict[str, Any]) -> None:
        """Takes a revision's scaling to the scalable target and the policy."""
        target, policy = service.managed["scalable_target"], service.managed["scaling_policy"]
        wanted = {"minCapacity": scaling["minTaskCount"], "maxCapacity": scaling["maxTaskCount"]}
        if target.details != wanted:
            target.details = wanted
            await self._make_scalable_target(service)
            target.becomes("ACTIVE")
        if policy.details != _policy_details(scaling):
            policy.details = _policy_details(scaling)
            policy.becomes("ACTIVE", arn=await self._make_scaling_policy(service))

    def alarm_name(self, service: Service) -> str:
        """The name of the rollback alarm."""
        return f"{service.cluster}/{service.name}/RollbackAlarm"

    async def _make_alarm(self, service: Service) -> str:
        name = self.alarm_name(service)
        groups = [service.managed[f"target_group_{color}"].arn for color in COLORS]
        await self.call(
            service,
            "cloudwatch",
            "put_metric_alarm",
            AlarmName=name,
            AlarmDescription=alarm.DESCRIPTION,
            ComparisonOperator="GreaterThanThreshold",
            Threshold=1.0,
            EvaluationPeriods=3,
            DatapointsToAlarm=2,
            TreatMissingData="notBreaching",
            Metrics=alarm.metrics(self.own_gateway(service).load_balancer, groups),
            Tags=self._elb_tags(service),
        )
        return f"arn:aws:cloudwatch:{self.ctx.settings.region}:{self.ctx.settings.account_id}:alarm:{name}"

    async def rewrite_alarm(self, service: Service) -> None:
        """Makes the rollback alarm anew, as ECS does at the beginning of each deployment and after a rollback.

        So what a user has changed in it does not last (a user's report, from CloudTrail). One that is not there yet is
        left to provision(): a first deployment may be stopped before there is anything to watch.
        """
        if not service.managed["alarm"].arn:
            return
        try:
            await self._make_alarm(service)
        except (ClientError, TrustError, ProvisioningError) as error:
            log.warning("alarm of %s: %s", service.arn, message_of(error))

    # Targets --------------------------------------------------------------------------------------------------------

    async def register(self, service: Service, arn: str, target: str, port: int, real_port: int) -> None:
        """Adds a task to a target group.

        :arg port: the container port, as the API shows it.
        :arg real_port: where the task listens.
        """
        targets = [{"Id": target, "Port": port}]
        await self.call(service, "elbv2", "register_targets", TargetGroupArn=arn, Targets=targets)
        gateway = self.gateway(service)
        groups, subnets = ([gateway.security_group], gateway.subnets) if gateway is not None else ([], [])
        source = self.ctx.firewall.member(groups, self.ctx.settings.region, subnets)
        self.ctx.balancer.register(arn, target, port, real_port, source)

    async def deregister(self, service: Service, arn: str, target: str, port: int) -> None:
        """Takes a task out of a target group: at once for real, then in the records."""
        self.ctx.balancer.deregister(arn, target)
        targets = [{"Id": target, "Port": port}]
        await self.call(service, "elbv2", "deregister_targets", TargetGroupArn=arn, Targets=targets)

    def leave(self, service: Service) -> bool:
        """Marks a service as leaving its load balancer.

        :returns: whether others stay, so that the load balancer stays too.
        """
        gateway = self.gateway(service)
        if gateway is None:
            return False
        if service.arn not in gateway.leaving:
            gateway.leaving.append(service.arn)
        return not gateway.closing

    # State ----------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Gateways and the certificates of their listeners."""
        gateways = [dataclasses.asdict(item) for item in self.gateways.values()]
        return {"gateways": gateways, "certificates": self.certificates}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.gateways = {item["name"]: Gateway(**item) for item in state.get("gateways", [])}
        self.certificates = state.get("certificates", {})


def message_of(error: Exception) -> str:
    """AWS's sentence, with its code."""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        return f"{details['Code']}: {details['Message']}"
    return str(error)
