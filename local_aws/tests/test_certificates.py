# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ACM: a certificate is issued when its validation record is in DNS, and not used before."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from running import LocalAws
from running import eventually

from local_aws.services.acm import models


def request(aws: LocalAws, domain: str, **more: object) -> str:
    """The ARN of a certificate that was asked for."""
    return aws.client("acm").request_certificate(DomainName=domain, **{"ValidationMethod": "DNS", **more})[
        "CertificateArn"
    ]


def detail(aws: LocalAws, arn: str) -> dict:
    """What DescribeCertificate returns."""
    return aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]


def test_a_certificate_waits_for_its_record(local_aws: LocalAws) -> None:
    acm, route53 = local_aws.client("acm"), local_aws.client("route53")
    arn = request(local_aws, "models.example.net", SubjectAlternativeNames=["*.models.example.net"])
    pending = detail(local_aws, arn)
    assert pending["Status"] == "PENDING_VALIDATION"
    assert not {"IssuedAt", "NotBefore", "NotAfter"} & set(pending)
    records = [option["ResourceRecord"] for option in pending["DomainValidationOptions"]]
    assert len(records) == 2
    assert records[0] == records[1]
    assert records[0]["Name"].endswith(".models.example.net.")
    assert records[0]["Value"].endswith(".acm-validations.aws.")
    with pytest.raises(ClientError, match="RequestInProgressException"):
        acm.get_certificate(CertificateArn=arn)
    zone = route53.create_hosted_zone(Name="example.net", CallerReference="certificates")["HostedZone"]["Id"]
    record = {**records[0], "TTL": 300, "ResourceRecords": [{"Value": records[0]["Value"]}]}
    change = {
        "Action": "CREATE",
        "ResourceRecordSet": {key: record[key] for key in ("Name", "Type", "TTL", "ResourceRecords")},
    }
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    issued = detail(local_aws, arn)
    assert issued["Status"] == "ISSUED"
    assert {option["ValidationStatus"] for option in issued["DomainValidationOptions"]} == {"SUCCESS"}
    assert issued["NotAfter"] > issued["NotBefore"]
    listed = acm.list_certificates(CertificateStatuses=["ISSUED"])["CertificateSummaryList"]
    assert arn in [item["CertificateArn"] for item in listed]


def test_another_record_validates_nothing(local_aws: LocalAws) -> None:
    route53 = local_aws.client("route53")
    arn = request(local_aws, "other.example.org")
    [option] = detail(local_aws, arn)["DomainValidationOptions"]
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="other")["HostedZone"]["Id"]
    wrong = {
        "Name": option["ResourceRecord"]["Name"],
        "Type": "CNAME",
        "TTL": 300,
        "ResourceRecords": [{"Value": "_0.acm-validations.aws."}],
    }
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": wrong}]}
    )
    assert detail(local_aws, arn)["Status"] == "PENDING_VALIDATION"


def test_a_certificate_by_email_waits_without_a_record(local_aws: LocalAws) -> None:
    [option] = detail(local_aws, request(local_aws, "mail.example.com", ValidationMethod="EMAIL"))[
        "DomainValidationOptions"
    ]
    assert option["ValidationMethod"] == "EMAIL"
    assert "ResourceRecord" not in option


def test_the_names_that_aws_gives_are_validated_by_aws(local_aws: LocalAws) -> None:
    assert detail(local_aws, request(local_aws, "ml-0123456789abcdef.ecs.us-east-1.on.aws"))["Status"] == "ISSUED"


def test_a_request_times_out_after_72_hours() -> None:
    record = {"SubjectAlternativeNames": ["late.example.com"], "ValidationMethod": "DNS"}
    models.make_pending(record, "123456789012", 0.0)
    assert models.settle(record, {}, models.VALIDATION_SECONDS)
    assert record["Status"] == "VALIDATION_TIMED_OUT"
    assert not models.settle(record, {}, models.VALIDATION_SECONDS)


def test_a_load_balancer_refuses_a_certificate_that_is_not_issued(local_aws: LocalAws) -> None:
    elbv2 = local_aws.client("elbv2")
    pending = request(local_aws, "unused.example.com")
    subnets = [subnet["SubnetId"] for subnet in local_aws.client("ec2").describe_subnets()["Subnets"]][:2]
    balancer = elbv2.create_load_balancer(Name="certificates", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    listener = {"LoadBalancerArn": balancer, "Protocol": "HTTPS", "Port": 443, "DefaultActions": fixed}
    with pytest.raises(ClientError, match="UnsupportedCertificate"):
        elbv2.create_listener(**listener, Certificates=[{"CertificateArn": pending}])
    with pytest.raises(ClientError, match="CertificateNotFound"):
        elbv2.create_listener(**listener, Certificates=[{"CertificateArn": pending[:-4] + "ffff"}])
    issued = request(local_aws, "ml-fedcba9876543210.ecs.us-east-1.on.aws")
    arn = elbv2.create_listener(**listener, Certificates=[{"CertificateArn": issued}])["Listeners"][0]["ListenerArn"]
    with pytest.raises(ClientError, match="UnsupportedCertificate"):
        elbv2.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": pending}])
    elbv2.delete_load_balancer(LoadBalancerArn=balancer)
    eventually(
        lambda: (
            "certificates" not in [one["LoadBalancerName"] for one in elbv2.describe_load_balancers()["LoadBalancers"]]
        )
    )
