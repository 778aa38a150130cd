# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Decide how the server verifies its database, and check RDS's answers about the instance."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.scripts import certificates

Answers = Mapping[str, typing.Any]

# "Certificate bundles by AWS Region" and, for China, the same page of docs.amazonaws.cn.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
_TRUSTSTORES = {
    "aws": "https://truststore.pki.rds.amazonaws.com",
    "aws-us-gov": "https://truststore.pki.us-gov-west-1.rds.amazonaws.com",
    "aws-cn": "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn",
}
# An endpoint of RDS itself: <name>.<account's hash>.<region>.rds.amazonaws.com. A proxy's certificate comes from ACM.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html
_ENDPOINT = re.compile(r"[^.]+[.](?!proxy-)[^.]+[.]([a-z0-9-]+)[.]rds[.]amazonaws[.]com(?:[.]cn)?")
# A task definition has 64 KiB for everything; RDS's bundle of a region has three certificates, the global one more than
# a hundred. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
_MOST_CERTIFICATES = 32768


def findings(answers: Answers) -> dict[str, typing.Any]:
    """Return how the database is verified, with violations.

    Args:
        answers: variables and AWS's answers, see the filter C(database_findings).
    """
    mode, url, verifies = sslmode(answers), bundle_url(answers), _verifies(answers)
    fetches = verifies and not answers["ca_path"] and bool(url)
    found = _certificates(answers) if verifies else []
    before = [*_instance_violations(answers), *_unknown_authority(answers)]
    return {
        "sslmode": mode,
        "bundle_url": url,
        "fetches": fetches and not before,
        "certificates": found,
        "violations": before or list(_certificate_violations(answers, found)),
    }


def _region(answers: Answers) -> str:
    """Return the region of an endpoint of RDS; empty for other hosts."""
    host = answers["existing_host"]
    match = _ENDPOINT.fullmatch(host)
    if host:
        return match[1] if match else ""
    return str(answers["region"])


def bundle_url(answers: Answers) -> str:
    """Return the URL of RDS's certificates; empty if the database is not RDS's, or the URL is unknown."""
    region, store = _region(answers), _TRUSTSTORES.get(answers["partition"], "")
    return f"{store}/{region}/{region}-bundle.pem" if region and store else ""


def sslmode(answers: Answers) -> str:
    """Return libpq's mode: the user's, or verify-full if the issuer of the database's certificate is known."""
    if answers["sslmode"]:
        return str(answers["sslmode"])
    known = _region(answers) or answers["ca_path"] or answers["ca_in_image"]
    return "verify-full" if known else "require"


def _verifies(answers: Answers) -> bool:
    """Return whether the server needs certificates that are not in the image."""
    in_image = answers["ca_in_image"] and not answers["ca_path"]
    return sslmode(answers).startswith("verify-") and not in_image


def _certificates(answers: Answers) -> list[str]:
    if answers["ca_path"]:
        file = Path(answers["ca_path"]).expanduser()
        return certificates(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else []
    return certificates(str(answers["bundle"].get("content") or ""))


def _instance_violations(answers: Answers) -> Iterator[Violation]:
    name, instances = answers["name"], answers["instances"]
    if any((one.get("db_subnet_group") or {}).get("db_subnet_group_name") != name for one in instances):
        yield Violation(
            "rds_name",
            f"is '{name}', and there is an RDS instance of that name in this region that is not this deployment's,"
            f" since it does not lie in the subnet group '{name}'",
            "choose another rds_name, or use that database by rds_existing_host",
        )
        return
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSubnetGroup.html, SubnetAlreadyInUse
    used, kept = _used_subnets(instances), set(answers["subnet_ids"])
    zones = sorted({zone for zone, _subnet in used} - {zone for zone, subnet in used if subnet in kept})
    if kept and zones:
        yield Violation(
            "rds_subnet_ids",
            f"leaves out {', '.join(sorted(subnet for _zone, subnet in used))}, in one of which the RDS instance"
            f" '{name}' is, in {', '.join(zones)}",
            "RDS takes no subnet away from an instance, so name them in rds_subnet_ids, too",
        )


def _used_subnets(instances: typing.Any) -> list[tuple[str, str]]:
    """Return the zones and subnets in which the instance and its standby may be."""
    zones = {one.get(key) for one in instances for key in ("availability_zone", "secondary_availability_zone")}
    return [
        (subnet["subnet_availability_zone"]["name"], subnet["subnet_identifier"])
        for one in instances
        for subnet in (one.get("db_subnet_group") or {}).get("subnets", [])
        if subnet["subnet_availability_zone"]["name"] in zones
    ]


def _unknown_authority(answers: Answers) -> Iterator[Violation]:
    if _verifies(answers) and not answers["ca_path"] and not bundle_url(answers):
        whose = answers["existing_host"] or f"RDS in the partition {answers['partition']}"
        yield Violation(
            "rds_sslmode",
            f"is {sslmode(answers)}, but it is not known who signs the certificates of {whose}",
            "set rds_ca_path to a PEM file with that authority's certificate, or rds_sslmode to require, which encrypts"
            " without verifying",
        )


def _certificate_violations(answers: Answers, found: list[str]) -> Iterator[Violation]:
    path, url, bundle = answers["ca_path"], bundle_url(answers), answers["bundle"]
    if not _verifies(answers):
        return
    if not path and bundle.get("status") != 200:
        yield Violation(
            "rds_ca_path",
            f"by which the server knows its database cannot be fetched from {url} ({_failure(answers)})",
            "download the file where that is possible and set rds_ca_path to it, or set rds_sslmode to require, which"
            " does not verify",
            subject="The certificates",
        )
        return
    size = sum(map(len, found))
    if 0 < size <= _MOST_CERTIFICATES:
        return
    few = "name a file with the text -----BEGIN CERTIFICATE-----"
    many = (
        f"at most {_MOST_CERTIFICATES} fit beside the rest of a task definition, so name the bundle of one region"
        " rather than the global one"
    )
    yield Violation(
        "rds_ca_path",
        f"holds {len(found)} PEM certificates, {size} characters",
        many if found else few,
        subject=f"rds_ca_path ({path})" if path else url,
    )


def _failure(answers: Answers) -> str:
    """Return a short reason why the certificates could not be fetched."""
    said = re.sub(r"(?s)^.*: |\s+", " ", str(answers["bundle"].get("msg") or "no answer")).strip()
    short = said if len(said) <= 60 else f"{said[:57]}..."
    if "timed out" not in said:
        return short
    return f"{short} after {answers['request_timeout']} s, which rds_request_timeout raises"
