"""The flows and the cross traffic of an experiment from its document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stacks.congestion import controller_factory
from stacks.congestion.own import place_controller
from stacks.lab.experiment import units
from stacks.lab.experiment.values import FlowConfig, StorageConfig, TrafficConfig
from stacks.lab.senders import check_sender
from stacks.lab.workloads import WORKLOADS
from stacks.runtime.toml_table import Table


def read_flow(table: Table, folder: Path) -> FlowConfig | None:
    """A table `[[flow]]`; None where it says `enabled = false`."""
    is_enabled = table.read("enabled", units.truth, True)
    sender = table.read("sender", check_sender, "model")
    read_controller = controller(folder)
    word, colon, argument = sender.partition(":")
    if word == "nvme":
        chosen = table.read("controller", read_controller, "dcqcn" if argument == "rdma" else "cubic")
    elif colon and not table.has("controller"):
        chosen = argument
    else:
        chosen = table.need("controller", read_controller, "reno", example='"reno"')
    flow = FlowConfig(
        name=table.read("name", units.name, "") or default_name(chosen),
        controller=chosen,
        sender=sender,
        count=table.read("count", units.whole(1, 100_000), 1),
        start_ns=table.read("start", units.duration, 0),
        spacing_ns=table.read("spacing", units.duration, 0),
        jitter_ns=table.read("jitter", units.duration, 0),
        stop_ns=table.read("stop", units.span, None),
        size_bytes=table.read("size", units.size, None),
        write_rate_bps=table.read("rate", units.rate, None),
        rtt_ns=table.read("rtt", units.span, None),
        source=table.read("from", units.whole(0, 1 << 20), 0),
        target=table.read("to", units.whole(0, 1 << 20), -1),
        initial_window_packets=table.read("initial_window", units.whole(1, 10_000), 10),
        ack_packets=table.read("ack_every", units.whole(1, 64), 2),
        storage=_storage(table, is_storage=word == "nvme"),
        place=table.place,
    )
    table.finish()
    return flow if is_enabled else None


def _storage(table: Table, *, is_storage: bool) -> StorageConfig | None:
    for key in ("block", "depth", "writes", "queues"):
        if table.has(key) and not is_storage:
            table.note(f'{key} is of storage flows alone: sender = "nvme:rdma", "nvme:tcp" or "nvme:quic"', key)
    block_bytes = table.read("block", units.size, 16 << 10)
    if block_bytes % 4096 or not 4096 <= block_bytes <= 1 << 20:
        table.note(f"block is {block_bytes} bytes; it is a multiple of 4096, up to 1 MiB", "block")
    storage = StorageConfig(
        block_bytes=block_bytes,
        depth=table.read("depth", units.whole(1, 1000), 32),
        writes=table.read("writes", units.whole(0, 100), 0),
        queues=table.read("queues", units.whole(1, 16), 1),
    )
    return storage if is_storage else None


def read_traffic(table: Table, folder: Path) -> TrafficConfig | None:
    """A table `[[traffic]]`; None where it says `enabled = false`."""
    is_enabled = table.read("enabled", units.truth, True)
    kind = table.need("kind", units.word(TRAFFIC_KINDS), "constant", example='"constant"')
    own = TRAFFIC_KINDS.get(kind, ())
    for key in ("packet", "on", "off", "sizes", "sender", "controller", "initial_window"):
        if table.has(key) and key not in own:
            table.note(f"{key} says nothing of {kind} traffic, which has: {', '.join(own)}", key)
    is_web, is_on_off = kind == "web", kind == "on-off"
    sender = table.read("sender", check_sender, "model")
    traffic = TrafficConfig(
        name=table.read("name", units.name, kind),
        kind=kind,
        rate_bps=table.need("rate", units.rate, 1, example='"5Mbit/s"'),
        start_ns=table.read("start", units.duration, 0),
        stop_ns=table.read("stop", units.span, None),
        on_ns=_needed(table, "on", is_on_off, '"500ms"'),
        off_ns=_needed(table, "off", is_on_off, '"500ms"'),
        source=table.read("from", units.whole(0, 1 << 20), 0),
        target=table.read("to", units.whole(0, 1 << 20), -1),
        packet_bytes=table.read("packet", units.whole(64, 65_535), None),
        sizes=_sizes(table, is_web),
        controller=_web_controller(table, is_web, sender, folder),
        sender=sender,
        initial_window_packets=table.read("initial_window", units.whole(1, 10_000), 10),
        place=table.place,
    )
    table.finish()
    return traffic if is_enabled else None


def _needed(table: Table, key: str, is_needed: bool, example: str) -> int:
    return table.need(key, units.span, 0, example=example) if is_needed else table.read(key, units.span, 0)


def _sizes(table: Table, is_needed: bool) -> str | int:
    nothing: str | int = ""
    if is_needed:
        return table.need("sizes", units.sizes(WORKLOADS), nothing, example='"700kB" or "web-search"')
    return table.read("sizes", units.sizes(WORKLOADS), nothing)


def _web_controller(table: Table, is_needed: bool, sender: str, folder: Path) -> str:
    read = controller(folder)
    if sender.partition(":")[1] and not table.has("controller"):
        return sender.partition(":")[2]
    if is_needed:
        return table.need("controller", read, "reno", example='"cubic"')
    return table.read("controller", read, "")


def controller(folder: Path) -> Callable[[object], str]:
    """Reads the name of a controller; one in a file of its own, beside the document in `folder`, is loaded."""

    def read(value: object) -> str:
        name = place_controller(units.text(value), folder)
        controller_factory(name)
        return name

    return read


def default_name(name: str) -> str:
    """What a flow is called after its controller."""
    return name.rpartition(":")[2]


TRAFFIC_KINDS: dict[str, tuple[str, ...]] = {
    "constant": ("packet",),
    "on-off": ("packet", "on", "off"),
    "web": ("sizes", "sender", "controller", "initial_window"),
}
"""Each kind with the keys that only some kinds have."""
