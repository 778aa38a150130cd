# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers that services share, with security group and listener.

Names and settings: ECS developer guide, express-service-work; names of load balancers and groups as users report them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from .infrastructure import Infrastructure
from .infrastructure import ProvisioningError
from .models import Service

LOAD_BALANCER_SECONDS = 240
SERVICES_PER_LOAD_BALANCER = 25
FREE_ADDRESSES = 8


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
        """Whether all its services are being deleted, so that it is deleted too and no service may join."""
        return set(self.services) <= set(self.leaving)

    @property
    def scheme(self) -> str:
        """ELB's word for it."""
        return "internet-facing" if self.public else "internal"


class Gateways:
    """The load balancers of the account.

    :ivar certificates: of each listener, beside its default one.
    """

    def __init__(self, ctx: Context, infrastructure: Infrastructure) -> None:
        self._ctx = ctx
        self._infrastructure = infrastructure
        self.gateways: dict[str, Gateway] = {}
        self.certificates: dict[str, list[str]] = {}

    def of(self, service: Service) -> Gateway | None:
        """The gateway that a service has joined."""
        return next((item for item in self.gateways.values() if service.arn in item.services), None)

    def require(self, service: Service) -> Gateway:
        """The same; raises ProvisioningError where there is none."""
        gateway = self.of(service)
        if gateway is None:
            raise ProvisioningError("The service has no load balancer.")
        return gateway

    def join(self, service: Service) -> Gateway:
        """Lets a service share a load balancer, or plans one for it.

        :raises ProvisioningError: its Availability Zones are others, or the service is being deleted.
        """
        found = self.of(service)
        if found is not None:
            return found
        if service.status != "ACTIVE":
            raise ProvisioningError("The service is being deleted.")
        gateway = self._shareable(service)
        if gateway is not None:
            if gateway.zones != service.placement.zones:
                reason = (
                    f"The Availability Zones of the service's subnets ({', '.join(service.placement.zones)}) do not "
                    f"match those of the shared load balancer ({', '.join(gateway.zones)})."
                )
                service.managed["load_balancer"].becomes("FAILED", reason)
                raise ProvisioningError(reason)
            gateway.services.append(service.arn)
            return gateway
        gateway = Gateway(
            name=f"ecs-express-gateway-alb-{secrets.token_hex(4)}",
            vpc=service.vpc,
            public=service.public,
            zones=service.placement.zones,
            subnets=service.placement.subnets,
            services=[service.arn],
        )
        self.gateways[gateway.name] = gateway
        return gateway

    def _shareable(self, service: Service) -> Gateway | None:
        """A load balancer in the service's VPC that takes one more service."""
        for gateway in self.gateways.values():
            same = gateway.vpc == service.vpc and gateway.public == service.public and gateway.load_balancer
            if same and not gateway.closing and len(gateway.services) < SERVICES_PER_LOAD_BALANCER:
                return gateway
        return None

    def certificates_of(self, listener: str) -> list[str]:
        """The certificates of a listener beside its default one."""
        return self.certificates.get(listener, [])

    def mark_leaving(self, service: Service) -> bool:
        """Marks a service as leaving its load balancer.

        :returns: whether others stay, so that the load balancer stays too.
        """
        gateway = self.of(service)
        if gateway is None:
            return False
        if service.arn not in gateway.leaving:
            gateway.leaving.append(service.arn)
        return not gateway.closing

    async def make_security_group(self, service: Service) -> str:
        """The ARN of the load balancer's security group, which the first service makes."""
        gateway = self.require(service)
        if not gateway.security_group:
            answer = await self._infrastructure.call(
                service,
                "ec2",
                "create_security_group",
                GroupName=f"ecs-express-gateway-alb-sg-{int(time.time() * 1000)}",
                Description="ManagedResource by Amazon ECS Express Mode",
                VpcId=service.vpc,
                TagSpecifications=self._infrastructure.tag_specification(service, "security-group"),
            )
            group = answer["GroupId"]
            source = "0.0.0.0/0" if service.public else await self._vpc_range(service)
            await self._infrastructure.call(
                service,
                "ec2",
                "authorize_security_group_ingress",
                GroupId=group,
                IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": source}]}],
                TagSpecifications=self._infrastructure.tag_specification(service, "security-group-rule"),
            )
            gateway.security_group = group
        return self._infrastructure.group_arn(gateway.security_group)

    async def _vpc_range(self, service: Service) -> str:
        answer = await self._infrastructure.call(service, "ec2", "describe_vpcs", VpcIds=[service.vpc])
        return str(answer["Vpcs"][0]["CidrBlock"])

    async def make_load_balancer(self, service: Service) -> str:
        """The ARN of the load balancer, once it works."""
        gateway = self.require(service)
        managed = service.managed["load_balancer"]
        if not gateway.load_balancer:
            await self._service_linked_role(service)
            await self._check_free_addresses(gateway.subnets)
            answer = await self._infrastructure.call(
                service,
                "elbv2",
                "create_load_balancer",
                Name=gateway.name,
                Subnets=gateway.subnets,
                SecurityGroups=[gateway.security_group],
                Scheme=gateway.scheme,
                Type="application",
                IpAddressType="ipv4",
                Tags=self._infrastructure.elb_tags(service),
            )
            gateway.load_balancer = answer["LoadBalancers"][0]["LoadBalancerArn"]
            gateway.created = time.time()
            managed.arn = gateway.load_balancer
            self._ctx.changed()
        managed.details |= {"subnetIds": gateway.subnets, "securityGroupIds": [gateway.security_group]}
        left = self._ctx.clock.real(LOAD_BALANCER_SECONDS) - (time.time() - gateway.created)
        await asyncio.sleep(max(0.0, left))
        return gateway.load_balancer

    async def _check_free_addresses(self, subnets: list[str]) -> None:
        """ELB's own check, which ministack leaves out: eight free addresses in each subnet.

        Elastic Load Balancing User Guide, "Subnets for your load balancer"; the message as users report it.
        """
        answer = await self._ctx.aws("ec2", "describe_subnets", SubnetIds=subnets)
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
        roles = await self._ctx.aws("iam", "list_roles", PathPrefix=f"/aws-service-role/{name}/")
        if not roles["Roles"]:
            await self._infrastructure.call(service, "ec2", "describe_account_attributes")
            await self._infrastructure.call(service, "iam", "create_service_linked_role", AWSServiceName=name)

    async def make_listener(self, service: Service) -> str:
        """The ARN of the listener, which presents the service's certificate from now on."""
        gateway = self.require(service)
        certificate = service.managed["certificate"].arn
        if gateway.listener:
            await self._infrastructure.call(
                service,
                "elbv2",
                "add_listener_certificates",
                ListenerArn=gateway.listener,
                Certificates=[{"CertificateArn": certificate}],
            )
        else:
            answer = await self._infrastructure.call(
                service,
                "elbv2",
                "create_listener",
                LoadBalancerArn=gateway.load_balancer,
                Protocol="HTTPS",
                Port=443,
                Certificates=[{"CertificateArn": certificate}],
                DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
                Tags=self._infrastructure.elb_tags(service),
            )
            gateway.listener = answer["Listeners"][0]["ListenerArn"]
        return gateway.listener

    async def open_port(self, service: Service, group: str, port: int) -> None:
        """Lets the load balancer reach the tasks on a port, in both groups' rules."""
        gateway = self.require(service)
        for operation, owner, other in (
            ("authorize_security_group_ingress", group, gateway.security_group),
            ("authorize_security_group_egress", gateway.security_group, group),
        ):
            await self._infrastructure.call(
                service,
                "ec2",
                operation,
                GroupId=owner,
                IpPermissions=[
                    {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": other}]}
                ],
                TagSpecifications=self._infrastructure.tag_specification(service, "security-group-rule"),
            )

    def state(self) -> dict[str, Any]:
        """Gateways and the certificates of their listeners."""
        gateways = [vars(item) for item in self.gateways.values()]
        return {"gateways": gateways, "certificates": self.certificates}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.gateways = {item["name"]: Gateway(**item) for item in state.get("gateways", [])}
        self.certificates = state.get("certificates", {})
