# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate authority of the local AWS: made by trustme, kept under the home folder."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from .files import write_atomically


class Authority:
    """A certificate authority that outlives the daemon, so that clients keep trusting the same file.

    :arg folder: where the authority's key is kept (mode 0700).
    :arg bundle: the file clients are given; the certificate of this authority alone, no public roots.
    :arg name: the organization in the authority's certificate.
    """

    def __init__(self, folder: Path, bundle: Path, name: str = "mlops.mlflow_aws local AWS") -> None:
        self.bundle = bundle
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = folder / "ca.key"
        certificate = folder / "ca.pem"
        if key.exists() and certificate.exists():
            self._ca = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        else:
            self._ca = trustme.CA(organization_name=name)
            write_atomically(key, self._ca.private_key_pem.bytes(), 0o600)
            write_atomically(certificate, self._ca.cert_pem.bytes(), 0o644)
        write_atomically(bundle, self._ca.cert_pem.bytes(), 0o644)

    def server_context(self, names: list[str]) -> ssl.SSLContext:
        """A server's TLS context with a fresh certificate.

        :arg names: host names (wildcards allowed) and IP addresses that the certificate is for.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.issue(names).configure_cert(context)
        return context

    def issue(self, names: list[str]) -> trustme.LeafCert:
        """A certificate with its key, for what needs PEM files rather than a context."""
        return self._ca.issue_cert(*names)

    def write(self, path: Path, names: list[str]) -> None:
        """A fresh certificate with its key as one PEM file (mode 0600), for servers that want a file."""
        leaf = self.issue(names)
        content = leaf.private_key_pem.bytes() + b"".join(part.bytes() for part in leaf.cert_chain_pems)
        write_atomically(path, content, 0o600)
