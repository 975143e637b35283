"""What a flow did, in one form for the kernel's flows and ours: a list of moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

from apps.lab.kernel_flow import KernelSample


@dataclass(frozen=True, slots=True)
class Moment:
    """A flow at a time. Windows are packets; rates are bits a second of whole IP packets.

    time_ns: since the flow started. is_recovering: after a loss. cwnd; ssthresh: 0 for none. rtt_ns: smoothed for the
    kernel's flows. acked_bytes: ever, payload for the kernel's flows. bw_bps, min_rtt_ns, pacing_gain, cwnd_gain: of
    BBR, gains in 256ths; else 0.
    """

    time_ns: int
    is_recovering: bool
    cwnd: int
    ssthresh: int
    rtt_ns: int
    acked_bytes: int
    bw_bps: int = 0
    min_rtt_ns: int = 0
    pacing_gain: int = 0
    cwnd_gain: int = 0


def of_kernel(samples: Iterable[KernelSample]) -> list[Moment]:
    """A kernel's flow. Its BBR counts payload, and a packet of 1,500 bytes has 1,448 of that."""
    return [
        Moment(
            sample.time_ns,
            sample.ca_state >= CWR,
            sample.cwnd,
            0 if sample.ssthresh >= NO_SSTHRESH else sample.ssthresh,
            sample.rtt_ns,
            sample.acked_bytes,
            sample.bbr_bw_bps * PACKET_BYTES // PAYLOAD_BYTES,
            sample.bbr_min_rtt_ns,
            sample.pacing_gain,
            sample.cwnd_gain,
        )
        for sample in samples
    ]


def thinned(moments: Sequence[Moment], interval_ns: int) -> list[Moment]:
    """Only the moments at which a phase changes, the one before each, and one an interval."""
    kept: list[Moment] = []
    last: Moment | None = None
    for moment in moments:
        changes = last is None or _phase(moment) != _phase(last)
        if last is not None and changes and kept[-1] is not last:
            kept.append(last)
        if changes or moment.time_ns - kept[-1].time_ns >= interval_ns:
            kept.append(moment)
        last = moment
    return kept


def _phase(moment: Moment) -> tuple[object, ...]:
    return moment.is_recovering, moment.ssthresh, moment.pacing_gain, moment.cwnd_gain


def as_rows(moments: Iterable[Moment]) -> list[tuple[int, ...]]:
    """Numbers only, in the order of `COLUMNS`."""
    return [tuple(map(int, astuple(moment))) for moment in moments]


def from_row(row: Sequence[int]) -> Moment:
    """The inverse for one."""
    return Moment(row[0], bool(row[1]), *row[2:])


COLUMNS = tuple(field.name for field in fields(Moment))
PACKET_BYTES, PAYLOAD_BYTES = 1500, 1448
CWR = 2
NO_SSTHRESH = 0x7FFFFFFF
