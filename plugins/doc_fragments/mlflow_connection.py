# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a tracking server is and how to log in to it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  tracking_uri:
    description:
      - URL of the tracking server, for example V(https://mlflow.example.org). Must not hold a login.
    type: str
    required: true
  ca_path:
    description:
      - File with the PEM certificates of the authorities to trust for O(tracking_uri), instead of those of the system.
      - Certificate bundles named in the environment do not count beside it.
    type: path
  username:
    description:
      - User of the server's basic authentication. Must be an administrator for everything that writes.
    type: str
  password:
    description:
      - Password of O(username).
    type: str
  token:
    description:
      - Bearer token, for a server behind OpenID Connect. Excludes O(username) and O(password).
    type: str
  login_secret_arn:
    description:
      - ARN or name of a secret in AWS Secrets Manager that holds the login, a JSON object with V(username) and
        V(password), or with a bearer V(token). The module reads it itself, so that no variable ever holds the password.
      - Excludes O(username), O(password) and O(token). Needs C(boto3) and the permission
        C(secretsmanager:GetSecretValue).
    type: str
  request_timeout:
    description:
      - Seconds after which one request to the server counts as unanswered.
    type: int
    default: 60
notes:
  - The E(MLFLOW_*) variables of the environment, C(~/.mlflow/credentials) and C(~/.netrc) are not used. They may hold
    the login of another server.
"""
