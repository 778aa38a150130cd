# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances that run here, with the records, the clusters and the proxies that belong to them."""

from __future__ import annotations

import logging
from pathlib import Path

from ...context import Context
from ...network.firewall import Address
from ...network.firewall import Firewall
from . import backup_copies
from . import engine
from . import groups
from .cluster import Cluster
from .models import Instance
from .models import Record
from .records import Records
from .tls_proxy import TlsProxy

_log = logging.getLogger(__name__)

ADDRESS = "localhost"
POSTGRESQL_PORT = 5432


class InstanceStore:
    """The instances of the account."""

    def __init__(self, ctx: Context, firewall: Firewall, records: Records) -> None:
        self._ctx = ctx
        self._firewall = firewall
        self._records = records
        self._instances: dict[tuple[str, str], Instance] = {}
        self.ports: dict[str, int] = {}

    def get(self, region: str, identifier: str) -> Instance | None:
        """An instance by its name, ARN or resource id."""
        record = self._records.instance(region, identifier)
        return self._instances.get((region, record["DBInstanceIdentifier"])) if record else None

    def all(self) -> list[Instance]:
        """All of them."""
        return list(self._instances.values())

    def remove(self, instance: Instance) -> None:
        """Forgets an instance and its record."""
        self._instances.pop((instance.region, instance.name), None)
        self._records.remove_instance(instance.region, instance.record)

    def add(self, region: str, record: Record) -> Instance:
        """Makes what runs for a record."""
        for group in record.get("DBParameterGroups", []):
            self._records.make_default_group(region, group["DBParameterGroupName"])
        name = record["DBInstanceIdentifier"]
        key = self._key(region, name)
        cluster = Cluster(
            key,
            self._ctx.settings.home / "db" / key,
            engine.find(record["EngineVersion"]),
            self._ctx.supervisor,
        )
        context = self._ctx.rds_authority.server_context([ADDRESS, "127.0.0.1"])
        proxy = TlsProxy(
            cluster,
            context,
            force_ssl=lambda: self._force_ssl(region, record),
            # A fault that was ordered: the database is gone, subject: the instance.
            cut=lambda: self._ctx.faults.consume("databases:Connect", record["DBInstanceIdentifier"]) is not None,
            admits=lambda client, server: self._admits(region, record, client, server),
            load=lambda: self._load(record),
        )
        instance = Instance(region, record, cluster, proxy)
        self._instances[(region, name)] = instance
        return instance

    def set_status(self, instance: Instance, status: str) -> None:
        """Changes DBInstanceStatus."""
        instance.record["DBInstanceStatus"] = status
        _log.info("database %s: %s", instance.name, status)
        self._ctx.changed()

    def rename(self, instance: Instance, name: str) -> None:
        """Gives a stopped instance another identifier, and with it another ARN; tags and resource id stay.

        May be repeated where the daemon ended in the middle.
        """
        region, record = instance.region, instance.record
        folder = self._ctx.settings.home / "db" / self._key(region, name)
        if instance.cluster.folder.exists() and not folder.exists():
            instance.cluster.folder.rename(folder)
        instance.cluster.key, instance.cluster.folder = self._key(region, name), folder
        self.remove(instance)
        record["DBInstanceArn"] = record["DBInstanceArn"].rpartition(":")[0] + f":{name}"
        record["DBInstanceIdentifier"] = name
        record.pop("_Port", None)
        self._records.put_instance(region, record)
        self._records.set_tags(region, record["DBInstanceArn"], record.get("TagList", []))
        self._instances[(region, name)] = instance

    def port(self, instance: Instance) -> int:
        """The port that an identifier has had before; 0: none.

        An endpoint is made of the identifier: an instance that gets an identifier used before is reached where its
        former owner was (Amazon RDS User Guide, "Renaming to replace an existing DB instance").
        """
        return self.ports.get(f"{instance.region}/{instance.name}") or int(instance.record.get("_Port") or 0)

    def keep_port(self, instance: Instance, port: int) -> None:
        """Remembers where an identifier is reached."""
        instance.record["_Port"] = self.ports[f"{instance.region}/{instance.name}"] = port

    def backup_folder(self, record: Record) -> Path:
        """Where the automated backups of an instance are, whatever it is called."""
        return self._ctx.settings.home / "backups" / str(record["DbiResourceId"])

    def snapshot_folder(self, region: str, name: str) -> Path:
        """Where the data of a snapshot are."""
        return self._ctx.settings.home / "snapshots" / self._key(region, name)

    def _key(self, region: str, name: str) -> str:
        return name if region == self._ctx.settings.region else f"{region}.{name}"

    def server_parameters(self, instance: Instance) -> dict[str, str]:
        """The server's parameters: what the class gives, then what the user set."""
        record = instance.record
        settings = {"max_connections": str(engine.max_connections(record["DBInstanceClass"]))}
        for group in record.get("DBParameterGroups", []):
            values = self._records.parameters(instance.region, group["DBParameterGroupName"])
            settings.update({name: value for name, value in values.items() if groups.applies(name, value)})
        archive = self.backup_folder(record) / "archive"
        is_archived = bool(record.get("BackupRetentionPeriod"))
        never = {"archive_mode": "off", "archive_command": ""}
        return settings | (backup_copies.archive_settings(archive, instance.cluster.data) if is_archived else never)

    async def _load(self, record: Record) -> None:
        """A fault that was ordered: a restored volume is loaded when it is first read, subject: the instance."""
        name = record["DBInstanceIdentifier"]
        fault = self._ctx.faults.consume("databases:FirstReads", name) if record.get("_Restored") else None
        if fault is not None:
            await self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay))

    def _force_ssl(self, region: str, record: Record) -> bool:
        """rds.force_ssl; 1 by default since PostgreSQL 15 (Amazon RDS User Guide, "Requiring an SSL connection")."""
        for group in record.get("DBParameterGroups", []):
            value = self._records.parameters(region, group["DBParameterGroupName"]).get("rds.force_ssl", "1")
            return value not in ("0", "off", "false")
        return True

    async def _admits(self, region: str, record: Record, client: Address, server: Address) -> bool:
        """Whether the security groups let a connection in, and the internet is let in at all."""
        peer = await self._firewall.peer(client, server)
        if not peer.task and not record.get("PubliclyAccessible"):
            allowed = False
        else:
            given = [group["VpcSecurityGroupId"] for group in record.get("VpcSecurityGroups", [])]
            allowed = self._firewall.admits(region, given, int(record.get("_RulesPort") or POSTGRESQL_PORT), peer)
        if not allowed:
            _log.info(
                "database %s: no security group admits %s",
                record["DBInstanceIdentifier"],
                peer.task or f"{client[0]}, which is no task",
            )
        return allowed
