# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that ECS manages for a service, made one after the other through the API as the infrastructure role.

Names and settings: ECS developer guide, express-service-work; names of groups as users report them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import TrustError
from ..elbv2 import Balancer
from . import alarm
from .gateways import Gateways
from .infrastructure import COLORS
from .infrastructure import Infrastructure
from .infrastructure import ProvisioningError
from .infrastructure import message_of
from .models import ManagedResource
from .models import Service
from .scaling_resources import ScalingResources
from .scaling_resources import policy_details
from .target_groups import TargetGroups
from .target_groups import group_details

log = logging.getLogger(__name__)

CERTIFICATE_SECONDS = 60
SMALL_SECONDS = 3


def plan(service: Service) -> None:
    """Plan the resources of a service, all of them PROVISIONING."""
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
        "scaling_policy": ManagedResource(details=policy_details(scaling)),
        "alarm": ManagedResource(),
    }
    for color in COLORS:
        details = group_details(port, configuration["healthCheckPath"])
        service.managed[f"target_group_{color}"] = ManagedResource(details=details)
    logs = configuration["primaryContainer"].get("awsLogsConfiguration", {}).get("logGroup", "")
    if service.placement.log_group == logs and logs:
        service.managed["log_group"] = ManagedResource(details={"logGroupName": logs})


class Provisioner:
    """Creates managed resources."""

    def __init__(
        self, ctx: Context, balancer: Balancer, infrastructure: Infrastructure, gateways: Gateways, groups: TargetGroups
    ) -> None:
        self._ctx = ctx
        self._balancer = balancer
        self._infrastructure = infrastructure
        self.gateways = gateways
        self.target_groups = groups
        self.scaling = ScalingResources(infrastructure, gateways)
        self._locks: dict[tuple[str, bool], asyncio.Lock] = {}

    async def provision(self, service: Service) -> None:
        """Create the resources that are missing; may be called again after a restart.

        :raises ProvisioningError: AWS refused one of the calls.
        """
        gateway_steps = self._provision_gateway(service)
        certificate = self._provision_certificate(service)
        results = await asyncio.gather(gateway_steps, certificate, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        steps = {
            "listener": self.gateways.make_listener,
            "target_group_blue": self._make_blue,
            "target_group_green": self._make_green,
            "rule": self._make_rule,
            "log_group": self._make_log_group,
            "scalable_target": self.scaling.make_target,
            "scaling_policy": self.scaling.make_policy,
            "alarm": self._make_alarm,
        }
        for name, make in steps.items():
            if name in service.managed:
                await self._step(service, name, make, SMALL_SECONDS)

    async def _provision_gateway(self, service: Service) -> None:
        lock = self._locks.setdefault((service.vpc, service.public), asyncio.Lock())
        async with lock:
            self.gateways.join(service)
            await self._step(service, "load_balancer_security_group", self.gateways.make_security_group, SMALL_SECONDS)
            await self._step(service, "service_security_group", self._make_service_group, SMALL_SECONDS)
            await self._step(service, "load_balancer", self.gateways.make_load_balancer, 0)

    async def _provision_certificate(self, service: Service) -> None:
        await self._step(service, "certificate", self._make_certificate, CERTIFICATE_SECONDS)
        self._balancer.secure(service.arn)

    async def _step(self, service: Service, name: str, make: Any, seconds: float) -> None:
        """Create one resource, which is ACTIVE after the time that AWS takes."""
        managed = service.managed[name]
        if managed.status == "ACTIVE":
            return
        if service.status != "ACTIVE":
            raise ProvisioningError("The service is being deleted.")
        try:
            if not managed.arn:
                managed.arn = await make(service)
                self._ctx.changed()
            await self._ctx.clock.sleep(seconds)
        except (ClientError, TrustError, ProvisioningError) as error:
            managed.becomes("FAILED", message_of(error))
            log.warning("%s of %s: %s", name, service.arn, error)
            self._ctx.changed()
            raise ProvisioningError(message_of(error)) from error
        managed.becomes("ACTIVE")
        self._ctx.changed()

    async def _make_service_group(self, service: Service) -> str:
        answer = await self._infrastructure.call(
            service,
            "ec2",
            "create_security_group",
            GroupName=f"{service.cluster}-{service.name}-{service.vpc}",
            Description="ManagedResource by Amazon ECS Express Mode",
            VpcId=service.vpc,
            TagSpecifications=self._infrastructure.tag_specification(service, "security-group"),
        )
        group = str(answer["GroupId"])
        port = service.revisions[service.latest].configuration["primaryContainer"]["containerPort"]
        await self.gateways.open_port(service, group, port)
        service.placement.ports = [port]
        return self._infrastructure.group_arn(group)

    async def _make_certificate(self, service: Service) -> str:
        answer = await self._infrastructure.call(
            service,
            "acm",
            "request_certificate",
            DomainName=service.host,
            ValidationMethod="DNS",
            Tags=self._infrastructure.elb_tags(service),
        )
        return str(answer["CertificateArn"])

    async def _make_blue(self, service: Service) -> str:
        return await self.target_groups.make(service, "blue")

    async def _make_green(self, service: Service) -> str:
        return await self.target_groups.make(service, "green")

    async def _make_rule(self, service: Service) -> str:
        gateway = self.gateways.require(service)
        rules = await self._infrastructure.call(service, "elbv2", "describe_rules", ListenerArn=gateway.listener)
        taken = {rule["Priority"] for rule in rules["Rules"]}
        priority = next(number for number in range(1, 50001) if str(number) not in taken)
        answer = await self._infrastructure.call(
            service,
            "elbv2",
            "create_rule",
            ListenerArn=gateway.listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [service.host]}}],
            Actions=self.target_groups.forward_actions(service, {"blue": 100}),
            Tags=self._infrastructure.elb_tags(service),
        )
        return str(answer["Rules"][0]["RuleArn"])

    async def _make_log_group(self, service: Service) -> str:
        name = service.managed["log_group"].details["logGroupName"]
        await self._infrastructure.call(
            service, "logs", "create_log_group", logGroupName=name, tags=self._infrastructure.tags(service)
        )
        return f"arn:aws:logs:{self._ctx.settings.region}:{self._ctx.settings.account_id}:log-group:{name}"

    async def _make_alarm(self, service: Service) -> str:
        name = alarm.name_of(service)
        groups = [service.managed[f"target_group_{color}"].arn for color in COLORS]
        await self._infrastructure.call(
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
            Metrics=alarm.metrics(self.gateways.require(service).load_balancer, groups),
            Tags=self._infrastructure.elb_tags(service),
        )
        return f"arn:aws:cloudwatch:{self._ctx.settings.region}:{self._ctx.settings.account_id}:alarm:{name}"

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
