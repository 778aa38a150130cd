# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The removal of a service's managed resources, through the API as the infrastructure role."""

from __future__ import annotations

import asyncio
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import TrustError
from ..elbv2 import Balancer
from . import alarm
from .gateways import Gateway
from .gateways import Gateways
from .infrastructure import Infrastructure
from .infrastructure import ProvisioningError
from .infrastructure import message_of
from .models import ManagedResource
from .models import Service
from .scaling_resources import scaling_id
from .store import ServiceStore

# Real seconds between polls of the other services that leave the same load balancer.
POLL_SECONDS = 0.1


class Remover:
    """Removes what the provisioner made."""

    def __init__(
        self, ctx: Context, store: ServiceStore, balancer: Balancer, infrastructure: Infrastructure, gateways: Gateways
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._balancer = balancer
        self._infrastructure = infrastructure
        self._gateways = gateways

    async def remove(self, service: Service) -> None:
        """Removes everything but what others use, log groups and task definitions.

        :raises ProvisioningError: AWS refused a call; what is gone is DELETED, calling again goes on from there.
        """
        gateway = self._gateways.of(service)
        if gateway is not None and service.managed["load_balancer"].status == "DEPROVISIONING":
            # The others that are being deleted need the listener and the security group to undo their parts of them.
            while gateway.services != [service.arn]:
                await asyncio.sleep(POLL_SECONDS)
            self._take_over(service, gateway)
        steps: list[tuple[str, Any]] = [
            ("rule", self._delete_rule),
            ("listener", self._delete_listener),
            ("target_group_blue", self._delete_target_group("blue")),
            ("target_group_green", self._delete_target_group("green")),
            ("certificate", self._delete_certificate),
            ("scaling_policy", self._delete_scaling_policy),
            ("scalable_target", self._delete_scalable_target),
            ("alarm", self._delete_alarm),
            ("service_security_group", self._delete_service_group),
            ("load_balancer", self._delete_load_balancer),
            ("load_balancer_security_group", self._delete_balancer_group),
        ]
        for name, delete in steps:
            managed = service.managed.get(name)
            if managed is not None and managed.status in ("DEPROVISIONING", "FAILED"):
                await self._remove(service, name, managed, delete)
        if gateway is not None:
            gateway.services.remove(service.arn)
            gateway.leaving = [arn for arn in gateway.leaving if arn != service.arn]
            if not gateway.services:
                self._gateways.gateways.pop(gateway.name, None)
        self._ctx.changed()

    def _take_over(self, service: Service, gateway: Gateway) -> None:
        """Lets the last service remove what others have made, also if it was deleted before it came to use it."""
        group = self._infrastructure.group_arn(gateway.security_group) if gateway.security_group else ""
        shared = {
            "load_balancer": gateway.load_balancer,
            "load_balancer_security_group": group,
            "listener": gateway.listener,
        }
        for name, arn in shared.items():
            service.managed[name].arn = service.managed[name].arn or arn

    async def _remove(self, service: Service, name: str, managed: ManagedResource, delete: Any) -> None:
        try:
            if managed.arn:
                await delete(service)
        except (ClientError, TrustError) as error:
            if not _gone(error):
                managed.becomes("FAILED", message_of(error))
                self._ctx.changed()
                raise ProvisioningError(f"{name}: {message_of(error)}") from error
        managed.becomes("DELETED")
        self._ctx.changed()

    async def _delete_rule(self, service: Service) -> None:
        await self._infrastructure.call(service, "elbv2", "delete_rule", RuleArn=service.managed["rule"].arn)

    async def _delete_listener(self, service: Service) -> None:
        await self._infrastructure.call(
            service, "elbv2", "delete_listener", ListenerArn=service.managed["listener"].arn
        )

    def _delete_target_group(self, color: str) -> Any:
        async def delete(service: Service) -> None:
            arn = service.managed[f"target_group_{color}"].arn
            self._balancer.drop_group(arn)
            await self._infrastructure.call(service, "elbv2", "delete_target_group", TargetGroupArn=arn)

        return delete

    async def _delete_certificate(self, service: Service) -> None:
        arn = service.managed["certificate"].arn
        gateway = self._gateways.of(service)
        if gateway is not None and gateway.listener and service.managed["listener"].status != "DELETED":
            await self._replace_default(service, gateway)
            await self._infrastructure.call(
                service,
                "elbv2",
                "remove_listener_certificates",
                ListenerArn=gateway.listener,
                Certificates=[{"CertificateArn": arn}],
            )
        await self._infrastructure.call(service, "acm", "delete_certificate", CertificateArn=arn)

    async def _replace_default(self, service: Service, gateway: Gateway) -> None:
        """Makes another service's certificate the listener's default one, if it is that of the service that goes.

        ACM keeps a certificate that a listener uses. ECS's managed policy has elasticloadbalancing:ModifyListener.
        """
        answer = await self._infrastructure.call(
            service, "elbv2", "describe_listeners", ListenerArns=[gateway.listener]
        )
        default = [item["CertificateArn"] for item in answer["Listeners"][0].get("Certificates", [])]
        others = [self._store.services[arn].managed["certificate"] for arn in gateway.services]
        usable = [item.arn for item in others if item.arn and item.status != "DELETED" and item.arn not in default]
        if service.managed["certificate"].arn in default and usable:
            await self._infrastructure.call(
                service,
                "elbv2",
                "modify_listener",
                ListenerArn=gateway.listener,
                Certificates=[{"CertificateArn": usable[0]}],
            )

    async def _delete_scaling_policy(self, service: Service) -> None:
        await self._infrastructure.call(
            service,
            "application-autoscaling",
            "delete_scaling_policy",
            **scaling_id(service),
            PolicyName=f"{service.cluster}-{service.name}-target-tracking",
        )

    async def _delete_scalable_target(self, service: Service) -> None:
        await self._infrastructure.call(
            service, "application-autoscaling", "deregister_scalable_target", **scaling_id(service)
        )

    async def _delete_alarm(self, service: Service) -> None:
        await self._infrastructure.call(service, "cloudwatch", "delete_alarms", AlarmNames=[alarm.name_of(service)])

    async def _delete_service_group(self, service: Service) -> None:
        group = service.managed["service_security_group"].arn.rsplit("/", 1)[-1]
        gateway = self._gateways.of(service)
        if gateway is not None:
            await self._revoke(service, gateway.security_group, group)
        await self._infrastructure.call(service, "ec2", "delete_security_group", GroupId=group)

    async def _revoke(self, service: Service, owner: str, other: str) -> None:
        for port in service.placement.ports:
            permission = {
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "UserIdGroupPairs": [{"GroupId": other}],
            }
            try:
                await self._infrastructure.call(
                    service, "ec2", "revoke_security_group_egress", GroupId=owner, IpPermissions=[permission]
                )
            except ClientError as error:
                # Revoked already, by an attempt that ended later; no reason to take the group for gone.
                if not _gone(error):
                    raise

    async def _delete_load_balancer(self, service: Service) -> None:
        arn = service.managed["load_balancer"].arn
        await self._infrastructure.call(service, "elbv2", "delete_load_balancer", LoadBalancerArn=arn)

    async def _delete_balancer_group(self, service: Service) -> None:
        group = service.managed["load_balancer_security_group"].arn.rsplit("/", 1)[-1]
        await self._infrastructure.call(service, "ec2", "delete_security_group", GroupId=group)


def _gone(error: Exception) -> bool:
    """Whether the resource to delete is gone already."""
    return isinstance(error, ClientError) and (
        "NotFound" in error.response["Error"]["Code"] or error.response["Error"]["Code"] == "ResourceNotFoundException"
    )
