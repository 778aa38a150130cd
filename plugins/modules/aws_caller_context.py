#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: aws_caller_context
short_description: Return the account, partition and region that the AWS modules work in
version_added: 0.1.0
description:
  - Resolves credentials and region in the same way as every module of C(amazon.aws), asks AWS STS whose they are, and
    returns what names and ARNs are made of.
  - Missing region, missing credentials, wrong credentials and expired credentials each end in one sentence.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.aws_caller_info
    description: Returns account and principal, without region and partition.
  - name: AWS partitions
    description: What ARNs and DNS names differ in.
    link: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Where am I?
  mlops.mlflow_aws.aws_caller_context:
  register: aws_context

- name: Name a bucket after the account and region
  ansible.builtin.debug:
    msg: "mlflow-artifacts-{{ aws_context.account_id }}-{{ aws_context.region }}"
"""

RETURN = r"""
account_id:
  description: The account that the credentials belong to.
  returned: success
  type: str
  sample: '123456789012'
arn:
  description: The principal that the credentials belong to.
  returned: success
  type: str
  sample: arn:aws:iam::123456789012:root
partition:
  description: The partition of the region, the second part of every ARN.
  returned: success
  type: str
  sample: aws
region:
  description: The region that the modules work in.
  returned: success
  type: str
  sample: eu-central-1
dns_suffix:
  description: The suffix of the partition's DNS names.
  returned: success
  type: str
  sample: amazonaws.com
on_dns_suffix:
  description: The suffix of the names that AWS gives to what its customers run, such as Express Mode services.
  returned: success
  type: str
  sample: on.aws
"""

import re

try:
    import botocore.exceptions
    from botocore.session import Session
except ImportError:
    pass  # Handled by AnsibleAWSModule

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.credentials import connection_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.versions import version_problem

# Error codes of STS (and of every signed call) that are about the credentials themselves.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_WHERE = "or the profile named by AWS_PROFILE"
_EXPIRED = "the temporary credentials have expired: get new ones and run again, it continues where it stopped"
_CREDENTIAL_ERRORS = {
    "InvalidClientTokenId": f"AWS does not know this access key: check AWS_ACCESS_KEY_ID, {_WHERE}",
    "UnrecognizedClientException": (
        f"AWS does not know this access key or session token: check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, {_WHERE}"
    ),
    "SignatureDoesNotMatch": (
        f"the secret access key does not belong to this access key: check AWS_SECRET_ACCESS_KEY, {_WHERE}"
    ),
    "InvalidToken": "the session token does not belong to this access key: check AWS_SESSION_TOKEN",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
}


def _explain(error: Exception) -> str:
    """Say in one sentence why STS did not tell who the caller is."""
    if isinstance(error, botocore.exceptions.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in _CREDENTIAL_ERRORS:
            return f"AWS refused the credentials ({code}): {_CREDENTIAL_ERRORS[code]}."
        return f"AWS STS refused GetCallerIdentity ({code}): {error.response.get('Error', {}).get('Message', error)}"
    if isinstance(error, (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError)):
        return (
            "No AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or the options "
            "access_key and secret_key through module_defaults for group/mlops.mlflow_aws.all."
        )
    if isinstance(error, botocore.exceptions.ProfileNotFound):
        return f"{error}: set AWS_PROFILE to a profile that the AWS configuration files hold."
    if isinstance(error, botocore.exceptions.EndpointConnectionError):
        return f"AWS STS cannot be reached: {error}. Is the region right, and is there a way out to the internet?"
    return f"AWS STS did not say who the caller is: {error}"


def _partition(region: str) -> tuple[str, str, str]:
    """Return the partition of a region and its two DNS suffixes, from botocore's own data.

    Source: botocore/data/partitions.json, what endpoint rulesets work with. Names that AWS gives to what its customers
    run end in on.aws, on.amazonwebservices.com.cn and so on: in each partition they have the "on" where those of the
    dual-stack APIs have an "api" (Lambda function URLs and the dual-stack registries of Amazon ECR are the examples).
    """
    session = Session()
    partition = session.get_partition_for_region(region)
    [outputs] = [one["outputs"] for one in session.get_data("partitions")["partitions"] if one["id"] == partition]
    return partition, outputs["dnsSuffix"], re.sub(r"^api\.", "on.", outputs["dualStackDnsSuffix"])


def main() -> None:
    module = AnsibleAWSModule(argument_spec={}, supports_check_mode=True)
    if problem := version_problem() or connection_problem(module.params):
        module.fail_json(msg=problem)
    if not module.region:
        module.fail_json(
            msg="No AWS region: set AWS_REGION (or AWS_DEFAULT_REGION, or a region in the profile), or the option "
            "region through module_defaults for group/mlops.mlflow_aws.all."
        )
    try:
        identity = module.client("sts").get_caller_identity()
        partition, dns_suffix, on_dns_suffix = _partition(module.region)
    except botocore.exceptions.UnknownRegionError:
        module.fail_json(msg=f"AWS has no region called '{module.region}': check AWS_REGION (like eu-central-1).")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        module.fail_json(msg=_explain(error))
    module.exit_json(
        changed=False,
        account_id=identity["Account"],
        arn=identity["Arn"],
        partition=partition,
        region=module.region,
        dns_suffix=dns_suffix,
        on_dns_suffix=on_dns_suffix,
    )


if __name__ == "__main__":
    main()
