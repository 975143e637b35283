"""What flows of the real QUIC stack cannot be in an experiment, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.runtime.toml_places import Place


def quic_refusals(experiment: Experiment) -> Iterator[tuple[Place, str]]:
    """(place, what it is and what to do) pairs."""
    everyone: list[FlowConfig | TrafficConfig] = [*experiment.flows, *experiment.traffic]
    quic = [each for each in everyone if each.sender == "quic"]
    if not quic:
        return
    # The transport takes longer to load than everything else in the laboratory: only who has QUIC flows waits for it.
    from stacks.lab.quic.ends import LEAST_PACKET_BYTES

    if experiment.topology.fabric is not None:
        yield ("topology", "kind"), 'a fabric has model senders only: leave sender = "quic" out'
    if experiment.packet_bytes < LEAST_PACKET_BYTES:
        yield ("packet",), f"QUIC needs packets of {LEAST_PACKET_BYTES} bytes at least (RFC 9000 14.1)"
    for each in quic:
        yield from quic_cannot(each, experiment.packet_bytes)


def quic_cannot(each: FlowConfig | TrafficConfig, packet_bytes: int) -> Iterable[tuple[Place, str]]:
    """Of one flow over QUIC."""
    if each.initial_window_packets != 10:
        yield (*each.place, "initial_window"), "a QUIC connection begins with ten packets (RFC 9002 7.2): leave it out"
    from stacks.lab.quic.ends import probe_controller

    made = probe_controller(each.controller, packet_bytes)
    if made.wants_telemetry or made.cnp_interval_ns:
        needs = "telemetry of switches" if made.wants_telemetry else "notifications (CNPs)"
        yield (*each.place, "controller"), f"{each.controller} needs {needs}, which QUIC does not carry"
