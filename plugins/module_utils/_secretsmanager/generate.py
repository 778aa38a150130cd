# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate random values of secrets. Private to the collection."""

from __future__ import annotations

import base64
import json
import secrets
import string
import typing
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError

CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation)
"""Printable ASCII without the space."""


@dataclass(frozen=True)
class GenerateOptions:
    """How a value is generated: a JSON object with a random password, random keys, or both."""

    template: dict[str, typing.Any]
    key: str
    length: int
    exclude_characters: str
    keys: list[str] = field(default_factory=list)


def password(length: int, exclude: str) -> str:
    """Return a random password with one of each allowed kind: upper-case and lower-case letter, digit, symbol.

    Raises:
        UserError: too few characters are allowed for a secret.
    """
    classes = ["".join(c for c in letters if c not in exclude) for letters in CLASSES]
    classes = [letters for letters in classes if letters]
    alphabet = "".join(classes)
    if len(alphabet) < 16:
        raise UserError(
            f"generate.exclude_characters leaves {len(alphabet)} characters to choose from: leave at least 16."
        )
    if length < 12:
        raise UserError(f"generate.length is {length}: a password needs at least 12 characters.")
    while True:
        candidate = "".join(secrets.choice(alphabet) for _unused in range(length))
        if all(any(c in letters for c in candidate) for letters in classes):
            return candidate


def random_key() -> str:
    """Return 32 random bytes in URL-safe Base64, the format of a Fernet key.

    https://github.com/fernet/spec/blob/master/Spec.md#key-format
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def generate(generate_options: GenerateOptions, base: dict[str, typing.Any] | None = None) -> str:
    """Return the JSON text of a new value; members of *base* are kept.

    Raises:
        UserError: there is nothing random in it.
    """
    fresh = {name: random_key() for name in generate_options.keys}
    if generate_options.key:
        fresh[generate_options.key] = password(generate_options.length, generate_options.exclude_characters)
    if not fresh:
        raise UserError("generate.key and generate.keys are both empty: name at least one random member.")
    return json.dumps({**generate_options.template, **(base or {}), **fresh})
