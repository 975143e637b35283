"""How the commands of this group connect: the synchronous API with what the command line says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from apps.addresses import address_beside
from apps.errors import CommandError
from apps.faults import reported
from apps.nvme.outages import Outages
from apps.output import complain
from apps.recording import Recording
from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.host import (
    NO_RECONNECT,
    ConnectionFailed,
    DiscoveredSubsystem,
    HostConfig,
    PathPolicy,
    ReconnectPolicy,
    Transfer,
)
from stacks.nvme.host.head import ANA
from stacks.nvme.sync import Connection, Namespace, attach
from stacks.nvme.url import NvmeUrl
from stacks.rdma import DeviceConfig
from wire.nvme.opcodes import DISCOVERY_NQN
from wire.nvme.status import StatusCode, status_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a command connects.

    local: IP address of our device, empty for one that suits. offload: many packets with one system call.
    capture: where to record packets. queue_depth: commands that may be under way, on each of `queues`. host_nqn: who
    we are. digests: `TcpDigest`s to ask for over TCP.
    paths: further ways to the subsystem, policy: which of them is used. reconnect: what a loss leads to.
    device: how our device is made, None as usual. is_quiet: say nothing of its faults, they are told elsewhere.
    """

    local: str = ""
    offload: bool = True
    capture: Path | None = None
    queue_depth: int = 127
    queues: int = 1
    digests: int = 0
    paths: tuple[NvmeUrl, ...] = ()
    policy: PathPolicy = PathPolicy.ROUND_ROBIN
    reconnect: ReconnectPolicy = NO_RECONNECT
    host_nqn: str = HostConfig().host_nqn
    device: DeviceConfig | None = None
    is_quiet: bool = False


@contextlib.contextmanager
def open_connection(url: NvmeUrl, options: SessionOptions) -> Iterator[Connection]:
    """An association with the subsystem that `url` names."""
    config = HostConfig(host_nqn=options.host_nqn, queue_entries=options.queue_depth + 1, io_queues=options.queues)
    local = options.local or (address_beside(url.host) if url.transport == "rdma" and not options.paths else "")
    is_rdma = all(each.transport == "rdma" for each in (url, *options.paths))
    if options.digests and is_rdma and url.nqn != DISCOVERY_NQN:
        complain("--digests does nothing over RDMA: every packet has its ICRC anyway")
    with (
        Recording(options.capture) as recording,
        attach(
            [url, *options.paths],
            config=config,
            local=local,
            offload=options.offload,
            wrap=recording.transport,
            wrap_streams=recording.streams,
            device=options.device,
            tcp=TcpInitiatorConfig(digests=options.digests),
            reconnect=options.reconnect,
            policy=options.policy,
        ) as connection,
    ):
        Outages(connection.multipath, connection.end.clock)
        try:
            with reported(connection.end.device, is_quiet=options.is_quiet):
                yield connection
        except ConnectionFailed as error:
            raise lost(str(error)) from error


@contextlib.contextmanager
def open_subsystem(place: NvmeUrl, options: SessionOptions) -> Iterator[Connection]:
    """An association with the subsystem that a URL names, or with the target's only one."""
    with open_connection(with_subsystem(place, options), options) as connection:
        yield connection


@contextlib.contextmanager
def open_namespace(place: NvmeUrl, options: SessionOptions) -> Iterator[Namespace]:
    """The namespace that a URL names; where it names none, the first of the target's only subsystem."""
    url = with_subsystem(place, options)
    with open_connection(url, options) as connection:
        yield connection.namespace(url.nsid or min(connection.multipath.namespaces, default=0))


def with_subsystem(url: NvmeUrl, options: SessionOptions) -> NvmeUrl:
    """`url` with the target's only subsystem where it names none. CommandError when there are none or several."""
    if url.nqn:
        return url
    names = subsystems(url, options)
    if not names:
        raise CommandError(f"the target at {url} serves no subsystem to {options.host_nqn}")
    if len(names) > 1:
        raise CommandError(f"the target has {len(names)} subsystems", f"name one in the URL: {', '.join(names)}")
    return replace(url, nqn=names[0])


def subsystems(url: NvmeUrl, options: SessionOptions) -> list[str]:
    """The NQNs of the NVM subsystems at a place, each once."""
    return list(dict.fromkeys(entry.nqn for entry in discovered(url, options) if entry.nqn != DISCOVERY_NQN))


def discovered(url: NvmeUrl, options: SessionOptions) -> list[DiscoveredSubsystem]:
    """The discovery log at a place. A capture, and faults, are of what follows and not of this."""
    place = replace(url, nqn=DISCOVERY_NQN)
    plain = replace(options, capture=None, device=None, paths=(), reconnect=NO_RECONNECT)
    with open_connection(place, plain) as connection:
        return connection.discover()


def lost(reason: str) -> CommandError:
    """What to say when a connection that stood is no more."""
    remedy = "`ana-log` shows the states, the target's `ctl set-ana` changes them" if ANA in reason else TARGET_REMEDY
    return CommandError(reason or "the target closed the connection", remedy)


def failure(what: str, transfer: Transfer) -> CommandError:
    """What to say of an operation that failed; what: which one, and where."""
    if transfer.ending:
        return lost(transfer.ending)
    return CommandError(f"{what}: {explain_status(transfer.status)}")


def explain_status(status: int) -> str:
    """What an I/O command's status means, and what to do where that is known."""
    remedy = REMEDIES.get(status, "")
    return status_text(status, is_io=True) + (f"; {remedy}" if remedy else "")


TARGET_REMEDY = "see that it runs, and repeat"
REMEDIES = {
    StatusCode.CAPACITY_EXCEEDED.value: "the disk under the target's image is full, free some space there",
    StatusCode.NAMESPACE_WRITE_PROTECTED.value: "the target serves this image for reading only",
    StatusCode.WRITE_FAULT.value: "the target could not write to its image, look at its messages",
    StatusCode.RESERVATION_CONFLICT.value: "another host has reserved the namespace, `nvme resv-report` shows who",
    StatusCode.UNRECOVERED_READ_ERROR.value: "the target could not read its image, look at its messages",
    StatusCode.HOST_PATH_ERROR.value: "the target stopped answering, see that it runs",
}
