"""What storage flows cannot be in an experiment, each with its place."""

from __future__ import annotations

from collections.abc import Iterable

from stacks.lab.experiment.values import Experiment, FlowConfig
from stacks.lab.quic.refusals import quic_cannot
from stacks.runtime.toml_places import Place


def storage_refusals(experiment: Experiment) -> Iterable[tuple[Place, str]]:
    """(place, what it is and what to do) pairs."""
    storage = [flow for flow in experiment.flows if flow.storage is not None]
    for traffic in experiment.traffic:
        if traffic.sender.startswith("nvme"):
            yield (*traffic.place, "sender"), "storage is a [[flow]], and no mix of short flows"
    if not storage:
        return
    if experiment.topology.fabric is not None:
        yield ("topology", "kind"), "a fabric has model senders only: leave storage flows out"
    if experiment.packet_bytes < LEAST_PACKET_BYTES:
        yield ("packet",), f"storage flows need packets of {LEAST_PACKET_BYTES} bytes at least"
    for flow in storage:
        yield from _of(flow, experiment)


def _of(flow: FlowConfig, experiment: Experiment) -> Iterable[tuple[Place, str]]:
    if flow.write_rate_bps is not None:
        yield (*flow.place, "rate"), "a storage flow has commands, as many as depth says, and no rate: leave it out"
    if flow.initial_window_packets != 10:
        yield (*flow.place, "initial_window"), "storage flows begin with what their transports do: leave it out"
    if flow.sender == "nvme:quic":
        yield from quic_cannot(flow, experiment.packet_bytes)
    if flow.controller == "hpcc":
        yield (*flow.place, "controller"), "hpcc needs telemetry of switches, which no transport of storage carries"


LEAST_PACKET_BYTES = 1228
"""Of QUIC's datagrams (RFC 9000 14.1) with IPv4 and UDP; RoCEv2's with 1024 bytes are smaller."""
