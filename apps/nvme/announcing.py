"""What a target says when it serves: where, what, and once what would make it faster."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from apps.output import console
from apps.serving import announce_json
from apps.sizes import format_size
from stacks.nvme.aio import Server
from stacks.nvme.bindings.aio import ServerPort
from stacks.nvme.configuration import ConfiguredSubsystem, ConfiguredTarget
from stacks.nvme.stores import Store
from stacks.nvme.target import PortAddress
from stacks.nvme.url import NvmeUrl
from transports.control import Json


def announce(configured: ConfiguredTarget, server: Server, *, as_json: bool) -> None:
    """Say what is served."""
    advice = next((port.udp.buffer_advice for port in server.ports if port.udp is not None), "")
    urls = [url for url, _ in places(configured, server)]
    if as_json:
        announce_json(as_document(configured, urls, advice))
        return
    out = console()
    for url in urls:
        out.print(f"serving [bold]{escape(str(url))}[/]", soft_wrap=True, markup=True)
    is_alone = len(configured.subsystems) == 1
    for nqn, subsystem in configured.subsystems.items():
        if not is_alone:
            out.print(f"  subsystem {nqn}", soft_wrap=True)
        show_namespaces(subsystem, out, indent="  " if is_alone else "    ")
    if advice:
        out.print(f"small socket buffers cost throughput: {advice}", soft_wrap=True, highlight=False)
    out.print("until Ctrl-C")


def as_document(configured: ConfiguredTarget, urls: list[NvmeUrl], advice: str) -> dict[str, Json]:
    """The same as JSON. Its first keys are those of the first place, and the first subsystem."""
    subsystems: list[Json] = [
        {"nqn": nqn, "kind": each.subsystem.kind.type.name.lower(), "namespaces": namespaces_json(each)}
        for nqn, each in configured.subsystems.items()
    ]
    first = next(iter(configured.subsystems.values()), None)
    place: dict[str, Json] = {}
    if urls:
        place = {"url": str(urls[0]), "nqn": urls[0].nqn, "host": urls[0].host, "port": urls[0].port}
    return {
        **place,
        "nqn": "" if first is None else first.subsystem.nqn,
        "urls": [str(url) for url in urls],
        "namespaces": [] if first is None else namespaces_json(first),
        "subsystems": subsystems,
        "advice": advice,
    }


def namespaces_json(configured: ConfiguredSubsystem) -> list[Json]:
    """The namespaces of a subsystem."""
    return [
        {
            "nsid": nsid,
            "source": configured.source(nsid).text,
            "block_bytes": namespace.block_bytes,
            "blocks": namespace.block_count,
        }
        for nsid, namespace in sorted(configured.subsystem.namespaces.items())
    ]


def show_namespaces(configured: ConfiguredSubsystem, out: Console, *, indent: str) -> None:
    """One line a namespace."""
    for nsid, namespace in sorted(configured.subsystem.namespaces.items()):
        source = configured.source(nsid).text
        out.print(f"{indent}namespace {nsid}: {source}, {describe(namespace.store)}", soft_wrap=True)


def places(configured: ConfiguredTarget, server: Server) -> list[tuple[NvmeUrl, ServerPort]]:
    """Where hosts connect, with the subsystem where there is one, and what serves them there."""
    return [(_url(configured, port), port) for port in server.ports]


def describe(store: Store) -> str:
    """The size of a store in words."""
    kind = ", read only" if store.is_read_only else ""
    return f"{format_size(store.block_bytes * store.block_count)} in blocks of {store.block_bytes} bytes{kind}"


def _url(configured: ConfiguredTarget, served: ServerPort) -> NvmeUrl:
    port = served.core.port
    address = port.address
    assert isinstance(address, PortAddress), "every port that listens has one"
    reached = [nqn for nqn in configured.subsystems if port.serves is None or nqn in port.serves]
    nqn = reached[0] if len(reached) == 1 else ""
    return NvmeUrl(address.transport.name.lower(), address.host, address.port, nqn)
