"""A configuration from its document: which keys there are, and what each one says."""

from __future__ import annotations

from pathlib import Path

from stacks.nvme.configuration import readers
from stacks.nvme.configuration.conflicts import conflicts
from stacks.nvme.configuration.values import (
    AnaConfiguration,
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    ReferralConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.nvme.target.ana import ANA_GROUPS_MAX
from stacks.nvme.target.controller_kind import IO
from stacks.nvme.target.discovery_record import PortAddress
from stacks.nvme.target.subsystem import CNTLID_MAX, NAMESPACES_MAX
from stacks.nvme.target.target import PORTID_MAX
from stacks.nvme.url import NvmeUrl
from stacks.runtime.toml_lines import TomlError, parse_toml
from stacks.runtime.toml_places import Place, toml_places
from stacks.runtime.toml_problems import ConfigurationError, Origin, Problem
from stacks.runtime.toml_table import Table
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import DISCOVERY_NQN


def read_configuration(text: str, name: str, *, folder: str | Path = "") -> tuple[TargetConfiguration, Origin]:
    """The configuration in a TOML document, and where each of its parts stands.

    name: what messages call the document; folder: where paths in it begin. No file is looked at.
    ConfigurationError with everything that is wrong.
    """
    try:
        values = parse_toml(text, name)
    except TomlError as error:
        raise ConfigurationError([Problem(error.line, error.what)], name) from error
    origin = Origin(name, toml_places(text))
    problems: list[tuple[Place, str]] = []
    top = Table("the document", (), values, problems=problems)
    configuration = TargetConfiguration(
        ports=tuple(_port(each) for each in top.tables("port", "port")),
        subsystems=tuple(_subsystem(each) for each in top.tables("subsystem", "subsystem")),
        referrals=tuple(_referral(each) for each in top.tables("referral", "referral")),
        discovery_nqn=top.read("discovery_nqn", readers.nqn, DISCOVERY_NQN),
        folder=str(folder),
        state=top.read("state", readers.text, ""),
    )
    top.finish()
    # What is not right yet would only bring complaints that nobody needs.
    problems += () if problems else conflicts(configuration)
    if problems:
        raise origin.error(problems)
    return configuration, origin


def _port(table: Table) -> PortConfiguration:
    url = table.need("listen", readers.listen, _NOWHERE, example='"nvme+tcp://127.0.0.1"')
    port = PortConfiguration(
        url=url,
        portid=table.read("id", readers.whole(1, PORTID_MAX), 0),
        serves=table.read_each("serves", readers.nqn),
        in_capsule_bytes=table.read("in_capsule", readers.size(0, IN_CAPSULE_MAX, multiple=16), None),
        connections_max=table.read("queues", readers.whole(1, CONNECTIONS_MAX), None),
        host_data_bytes=table.read("host_data", readers.size(4096, HOST_DATA_MAX, multiple=4), None),
        digests=table.read("digests", readers.word(readers.DIGESTS), None),
        place=table.place,
    )
    for key in ("host_data", "digests"):
        if table.has(key) and url.transport == "rdma":
            table.note(f"{key} is for ports that listen at nvme+tcp://", key)
    table.finish()
    return port


def _subsystem(table: Table) -> SubsystemConfiguration:
    subsystem = SubsystemConfiguration(
        nqn=table.need("nqn", readers.nqn, "", example='"nqn.2026-11.io.baremetal:disk"'),
        serial=table.read("serial", readers.printable(20), ""),
        model=table.read("model", readers.printable(40), SubsystemConfiguration(nqn="").model),
        kind=table.read("kind", readers.word(readers.KINDS), IO),
        allowed_hosts=table.read_each("allowed_hosts", readers.nqn),
        controllers_max=table.read("max_controllers", readers.whole(1, CNTLID_MAX), None),
        namespaces=tuple(_namespace(each) for each in table.tables("namespace", "namespace")),
        directories=tuple(_directory(each) for each in table.tables("directory", "directory")),
        ana=tuple(_ana(each) for each in table.tables("ana", "state of an ANA group")),
        place=table.place,
    )
    table.finish()
    return subsystem


def _namespace(table: Table) -> NamespaceConfiguration:
    namespace = NamespaceConfiguration(
        store=table.need("store", readers.store, "", example='"disk.img"'),
        nsid=table.read("nsid", readers.whole(1, NAMESPACES_MAX), 0),
        block_bytes=table.read("block_size", readers.block_size, 4096),
        identifier=table.read("uuid", readers.identifier, None),
        ana_group=table.read("ana_group", readers.whole(1, ANA_GROUPS_MAX), 1),
        visible_to=table.read_each("visible_to", readers.nqn),
        is_read_only=table.read("read_only", readers.truth, False),
        faults=table.read_each("faults", readers.fault),
        has_cache=table.read("cache", readers.truth, False),
        seed=table.read("seed", readers.whole(0, (1 << 64) - 1), 0),
        place=table.place,
    )
    table.finish()
    return namespace


def _directory(table: Table) -> DirectoryConfiguration:
    directory = DirectoryConfiguration(
        path=table.need("path", readers.text, "", example='"disks"'),
        visible_to=table.read_each("visible_to", readers.nqn),
        place=table.place,
    )
    table.finish()
    return directory


def _ana(table: Table) -> AnaConfiguration:
    state = AnaConfiguration(
        group=table.need("group", readers.whole(1, ANA_GROUPS_MAX), 1, example="1"),
        state=table.need("state", readers.word(readers.ANA_STATES), AnaState.OPTIMIZED, example='"inaccessible"'),
        portid=table.read("port", readers.whole(1, PORTID_MAX), None),
        place=table.place,
    )
    table.finish()
    return state


def _referral(table: Table) -> ReferralConfiguration:
    nowhere = PortAddress(TransportType.TCP, _NOWHERE.host, _NOWHERE.port)
    referral = ReferralConfiguration(
        address=table.need("to", readers.referral, nowhere, example='"nvme+tcp://192.0.2.9:8009"'),
        nqn=table.read("nqn", readers.nqn, DISCOVERY_NQN),
        place=table.place,
    )
    table.finish()
    return referral


_NOWHERE = NvmeUrl("tcp", "127.0.0.1")
"""Stands for an address that is missing or wrong, while the rest is read."""

IN_CAPSULE_MAX = 32 << 10
HOST_DATA_MAX = 1 << 30
CONNECTIONS_MAX = 1 << 16
