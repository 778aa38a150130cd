# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RequestCertificate and the reads: a certificate is issued when its validation records are found in Route 53.

ministack keeps the certificates, and issues them at once. Only Route 53 in this account answers DNS here, so a
certificate whose records are set elsewhere waits until it times out; one to be validated by e-mail always does.
"""

from __future__ import annotations

import time
from typing import Any

from ...context import Context
from ...ministack_adapter import acm
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response
from . import models

_READS = ("DescribeCertificate", "GetCertificate", "ListCertificates")
# The errors of Elastic Load Balancing's API reference; the sentence is what ELB answers for a certificate that is not
# issued: https://repost.aws/knowledge-center/elb-ssl-tls-certificate-https
_USES = ("AddListenerCertificates", "CreateListener", "ModifyListener")
_UNSUPPORTED = (
    "The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a supported key size."
)


class CertificateManager:
    """Certificates that wait for their validation, and are not used before."""

    name = "certificates"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def owns(self, call: Call) -> bool:
        """ACM's operations on requests, and ELB's that name a certificate that cannot be used yet."""
        if call.service == "acm":
            return call.operation == "RequestCertificate" or call.operation in _READS
        return call.service == "elbv2" and call.operation in _USES and bool(self._unusable(call))

    async def handle(self, call: Call) -> Response:
        """The answer; raises ApiError."""
        if call.service == "elbv2":
            return await self._refuse_use(call)
        if call.operation == "RequestCertificate":
            return await self._request(call)
        await self._settle(call.region)
        found = await call.passthrough()
        if found.status != 200:
            return found
        output = parse_response(found, "acm", call.operation)
        if call.operation == "DescribeCertificate":
            output["Certificate"] = models.shown(output["Certificate"])
        elif call.operation == "GetCertificate" and not self._is_issued(call.region, call.params["CertificateArn"]):
            message = "The certificate request is in progress; the certificate is not available until it is issued."
            raise ApiError("RequestInProgressException", message)
        return aws_response(output, "acm", call.operation)

    async def _request(self, call: Call) -> Response:
        found = await call.passthrough()
        if found.status != 200:
            return found
        arn = parse_response(found, "acm", call.operation)["CertificateArn"]
        record = acm.certificate(call.account_id, call.region, arn)
        if record is not None:
            models.make_pending(record, call.account_id, time.time())
            if all(models.is_validated_by_aws(domain) for domain in record["SubjectAlternativeNames"]):
                models.issue(record)
        self._ctx.changed()
        return found

    def _is_issued(self, region: str, arn: str) -> bool:
        record = acm.certificate(self._ctx.settings.account_id, region, arn)
        return record is not None and record["Status"] == models.ISSUED

    def _unusable(self, call: Call) -> list[str]:
        given = [item["CertificateArn"] for item in call.params.get("Certificates") or [] if "CertificateArn" in item]
        return [arn for arn in given if ":acm:" in arn and not self._is_issued(call.region, arn)]

    async def _refuse_use(self, call: Call) -> Response:
        """Looks once more, as the validation may have come in since; then ELB's refusal."""
        target = call.params.get("ListenerArn") or call.params.get("LoadBalancerArn") or "*"
        self._ctx.allow(call, f"elasticloadbalancing:{call.operation}", target)
        await self._settle(call.region)
        arn = next(iter(self._unusable(call)), "")
        if acm.certificate(call.account_id, call.region, arn) is None:
            raise ApiError("CertificateNotFound", f"Certificate '{arn}' not found")
        raise ApiError("UnsupportedCertificate", _UNSUPPORTED.format(arn=arn))

    async def _settle(self, region: str) -> None:
        account = self._ctx.settings.account_id
        waiting = [one for one in acm.certificates(account, region) if one.get("Status") == models.PENDING]
        if not waiting:
            return
        cnames = await self._cnames()
        limit = self._ctx.clock.real(models.VALIDATION_SECONDS)
        for record in waiting:
            if models.settle(record, cnames, limit):
                self._ctx.changed()

    async def _cnames(self) -> dict[str, str]:
        """The CNAME records of all public hosted zones."""
        found = {}
        for zone in (await self._ctx.aws("route53", "list_hosted_zones"))["HostedZones"]:
            if zone["Config"].get("PrivateZone"):
                continue
            answer = await self._ctx.aws("route53", "list_resource_record_sets", HostedZoneId=zone["Id"])
            for record in answer["ResourceRecordSets"]:
                if record["Type"] == "CNAME" and record.get("ResourceRecords"):
                    found[record["Name"].lower()] = record["ResourceRecords"][0]["Value"].rstrip(".").lower() + "."
        return found

    async def start(self) -> None:
        """Nothing to start: certificates are brought up to date when they are asked for."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember: ministack keeps the certificates."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
