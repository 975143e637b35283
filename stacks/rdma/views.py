"""What a device shows to those who look at it from outside: plain values, ready for JSON, under the field's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.rdma.reliable.queue_pair import ReliableQp
from wire.seqnum import PSN_MASK

if TYPE_CHECKING:
    from stacks.rdma.device import Device
    from stacks.rdma.qp import Qp

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def device_view(device: Device) -> dict[str, Json]:
    """One device and its port: address, GID 0, path MTUs in bytes, how many queue pairs it has in which states."""
    states: dict[str, Json] = {}
    for qp in device.qps.values():
        count = states.get(qp.state.name, 0)
        assert isinstance(count, int)
        states[qp.state.name] = count + 1
    port = device.query_port()
    return {
        "address": device.address[0],
        "gid": str(device.query_gid(0)),
        "max_mtu": port.max_mtu,
        "active_mtu": port.active_mtu,
        "state": port.state.name,
        "link_layer": port.link_layer,
        "qps": len(device.qps),
        "qp_states": states,
        "fault_rules": 0 if device.faults is None else len(device.faults.plan.rules),
    }


def qp_view(qp: Qp) -> dict[str, Json]:
    """One queue pair.

    sq_psn, rq_psn: next to be sent and expected, 24 bits. sent_psns, received_psns: the same without wrapping, from
    which rates are made. in_flight: PSNs sent and not acknowledged; window: how many may be. retries, rnr_retries:
    used up since the last progress. rate_bps: what congestion control allows. What a transport does not have is None.
    """
    view: dict[str, Json] = {
        "number": qp.number,
        "type": qp.qp_type.name,
        "state": qp.state.name,
        "peer": qp.remote_host,
        "dest_qp": _integer(qp, "dest_qpn"),
        "path_mtu": _integer(qp, "path_mtu"),
        "queued": _attribute(qp.requester, "queued"),
        "sq_psn": None,
        "rq_psn": None,
        "sent_psns": _attribute(qp.requester, "next_psn"),
        "received_psns": _attribute(qp.responder, "expected_psn"),
        "in_flight": None,
        "window": None,
        "retries": None,
        "rnr_retries": None,
        "rate_bps": None,
    }
    for short, whole in (("sq_psn", "sent_psns"), ("rq_psn", "received_psns")):
        count = view[whole]
        view[short] = count & PSN_MASK if isinstance(count, int) else None
    if isinstance(qp, ReliableQp):
        view |= _reliable(qp)
    if isinstance(qp, ControlledQp) and qp.attributes.get("dest_qpn") is not None:
        view["rate_bps"] = qp.controller.rate_bps
    return view


def _reliable(qp: ReliableQp) -> dict[str, Json]:
    requester, completer = qp.requester, qp.completer
    retries, rnr_retries = completer.retries_used
    return {
        "in_flight": requester.in_flight,
        "window": getattr(requester.window, "packets", None),
        "retries": retries,
        "rnr_retries": rnr_retries,
    }


def _attribute(part: object, name: str) -> int | None:
    value = getattr(part, name, None)
    return value if isinstance(value, int) else None


def _integer(qp: Qp, name: str) -> int | None:
    value = qp.attributes.get(name)
    return value if isinstance(value, int) else None
