"""What parts of a configuration that are right by themselves cannot be together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Protocol, TypeVar

from stacks.nvme.configuration.values import (
    NamespaceConfiguration,
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
    numbered,
)
from stacks.nvme.stores.store_files import StoreFile, store_files
from stacks.nvme.target.controller_kind import IO
from stacks.runtime.toml_places import Place
from stacks.runtime.toml_table import suggestion

Found = Iterator[tuple[Place, str]]


class Part(Protocol):
    """A part of a configuration."""

    @property
    def place(self) -> Place:
        """Where in the document it stands."""


P = TypeVar("P", bound=Part)


def conflicts(configuration: TargetConfiguration) -> Found:
    """(place, what is wrong and what to do) of everything in a configuration that does not go together."""
    if not configuration.ports:
        yield (), 'there is no port; add [[port]] with listen = "nvme+tcp://127.0.0.1"'
    yield from _ports(configuration)
    yield from _twice(configuration.subsystems, "nqn", lambda each: each.nqn, "subsystem {} is there already")
    for subsystem in configuration.subsystems:
        if subsystem.nqn == configuration.discovery_nqn:
            yield (*subsystem.place, "nqn"), f"{subsystem.nqn} is the discovery service's name; choose another"
        yield from _subsystem(subsystem, configuration)
    yield from _files(configuration)
    yield from _twice(
        configuration.referrals, "to", lambda each: each.address, "there is a referral to that address already"
    )


def _ports(configuration: TargetConfiguration) -> Found:
    ports = configuration.ports
    yield from _twice(ports, "id", lambda each: each.portid or None, "there is a port {} already")
    for transport, text in TAKEN.items():
        yield from _twice([port for port in ports if port.url.transport == transport], "listen", _socket, text)
    nqns = [subsystem.nqn for subsystem in configuration.subsystems]
    for port in ports:
        for index, nqn in enumerate(port.serves or ()):
            if nqn not in nqns:
                hint = suggestion(nqn, nqns, "there are")
                yield (*port.place, "serves", index), f"there is no subsystem {nqn}; {hint}"


def _subsystem(subsystem: SubsystemConfiguration, configuration: TargetConfiguration) -> Found:
    spaces = subsystem.namespaces
    if subsystem.kind is not IO:
        parts: list[Part] = [*spaces, *subsystem.directories]
        for each in parts:
            yield each.place, f"{subsystem.nqn} has no namespaces; its controllers are administrative"
    yield from _twice(spaces, "nsid", lambda each: each.nsid or None, "there is a namespace {} already")
    yield from _twice(spaces, "uuid", lambda each: each.identifier, "there is a namespace of UUID {} already")
    yield from _twice(
        subsystem.ana, "group", lambda each: (each.group, each.portid), "the state of that group there is said already"
    )
    portids = [port.portid for port in numbered(configuration.ports)]
    for state in subsystem.ana:
        if state.portid is not None and state.portid not in portids:
            there = ", ".join(map(str, sorted(portids)))
            yield (*state.place, "port"), f"there is no port {state.portid}; there are: {there}"


def _files(configuration: TargetConfiguration) -> Found:
    # A file that is changed is under an exclusive lock; those that are only read share one.
    users: dict[str, bool] = {}
    for subsystem in configuration.subsystems:
        for namespace in subsystem.namespaces:
            for file in _files_of(namespace, configuration):
                before = users.get(file.real_path)
                if before is not None and not (before and file.is_shared):
                    yield (*namespace.place, "store"), f"{file.path} is used already; {EACH_ITS_OWN}"
                users[file.real_path] = file.is_shared
    folders = [each for subsystem in configuration.subsystems for each in subsystem.directories]
    yield from _twice(folders, "path", lambda each: each.path, "{} is used already; a folder belongs to one subsystem")


def _files_of(namespace: NamespaceConfiguration, configuration: TargetConfiguration) -> list[StoreFile]:
    return store_files(namespace.store, is_read_only=namespace.is_read_only, folder=configuration.folder)


def _socket(port: PortConfiguration) -> str:
    # An RDMA device takes UDP port 4791 of its address, whatever number hosts connect to.
    host = f"[{port.url.host}]" if ":" in port.url.host else port.url.host
    return host if port.url.transport == "rdma" else f"{host}:{port.url.port}"


def _twice(parts: Iterable[P], key: str, value_of: Callable[[P], Hashable], text: str) -> Found:
    # Parts whose value an earlier one has; None is no value. text: with the value in place of {}.
    seen: set[Hashable] = set()
    for part in parts:
        value = value_of(part)
        if value is not None and value in seen:
            yield (*part.place, key), text.format(value)
        seen.add(value)


EACH_ITS_OWN = "a file that is written belongs to one namespace (ro: before its name has it only read)"

TAKEN = {
    "tcp": "a port listens at {} already; choose another port number",
    "rdma": "a device has {} already, and it has the whole address; choose another, such as 127.0.0.3",
}
