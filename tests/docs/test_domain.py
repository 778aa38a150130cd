# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who types what docs/network.md says has a domain of their own, and a deployment leaves the listener rule so."""

from __future__ import annotations

import json

import requests
from blocks import shell_blocks
from controllers import Controller
from controllers import RegionalAws
from controllers import to_its_end
from test_reading import PREAMBLE
from test_reading import secret

DOMAIN = "mlflow.example.com"


def names(aws: RegionalAws) -> list[str]:
    """The host names for which some rule of the load balancers leads to a service."""
    elbv2 = aws.client("elbv2")
    [balancer] = elbv2.describe_load_balancers()["LoadBalancers"]
    [listener] = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    rules = elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    conditions = [one for rule in rules for one in rule["Conditions"] if one["Field"] == "host-header"]
    return [name for one in conditions for name in one["HostHeaderConfig"]["Values"]]


def answer(aws: RegionalAws, url: str, name: str) -> int:
    """The status with which the server answers its administrator, who calls it by the domain."""
    login = secret(aws, f"{name}/login")
    session = requests.Session()
    session.trust_env, session.verify = False, aws.info["ca_bundle"]
    session.auth = (login["username"], login["password"])
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    return session.get(f"{url}{path}", headers={"Host": DOMAIN}, timeout=1800).status_code


def issued_certificate(aws: RegionalAws, domain: str) -> str:
    """The ARN of a certificate whose validation record stands in a hosted zone of the account."""
    acm, route53 = aws.client("acm"), aws.client("route53")
    arn = acm.request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]
    [option] = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
    record = option["ResourceRecord"]
    zone = route53.create_hosted_zone(Name=domain, CallerReference=arn)["HostedZone"]["Id"]
    wanted = {"Name": record["Name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": record["Value"]}]}
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": wanted}]}
    )
    return arn


def test_a_domain_is_added_as_the_page_says(
    deployed: str, controller: Controller, reader: dict[str, str], url: str, variables: dict[str, object]
) -> None:
    aws = controller.aws
    assert DOMAIN not in names(aws)
    assert answer(aws, url, deployed) == 403
    [block] = [block for block in shell_blocks() if block.page == "docs/network.md" and DOMAIN in block.text]
    certificate = issued_certificate(aws, DOMAIN)
    text = block.text.replace("arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d", certificate)
    assert certificate in text
    to_its_end(["bash", "-c", PREAMBLE + text], reader, controller.work).succeeded()
    known = names(aws)
    assert len(known) == 2
    assert DOMAIN in known
    assert answer(aws, url, deployed) == 200
    [condition] = [
        one
        for one in json.loads((controller.work / "conditions.json").read_text(encoding="utf-8"))
        if one["Field"] == "host-header"
    ]
    assert sorted(condition["HostHeaderConfig"]["Values"]) == sorted(known)
    given = {**variables, "mlflow_custom_domain": DOMAIN, "mlflow_ingress_cidrs": ["127.0.0.0/8"]}
    controller.play("deploy", given).succeeded()
    assert sorted(names(aws)) == sorted(known)
