"""What can be told of a flow from its moments: phases, gains, how often, how fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from interop.congestion.flows import Moment


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time. name: of BBR's mode, or slow start, recovery, avoidance. moments: of it, at least one."""

    name: str
    moments: Sequence[Moment]

    @property
    def start_ns(self) -> int:
        """Since the flow started."""
        return self.moments[0].time_ns

    @property
    def gains(self) -> list[tuple[int, int]]:
        """BBR's pairs of pacing and cwnd gain, each once, in order."""
        return sorted({(moment.pacing_gain, moment.cwnd_gain) for moment in self.moments})


def phases(moments: Sequence[Moment]) -> list[Phase]:
    """A flow's phases in order, from the first acknowledgement on."""
    return list(_phases(moments))


def _phases(moments: Sequence[Moment]) -> Iterator[Phase]:
    name, since = "", 0
    for index, moment in enumerate(moments):
        now = _name(moment)
        if now != name:
            if name:
                yield Phase(name, moments[since:index])
            name, since = now, index
    if name:
        yield Phase(name, moments[since:])


def _name(moment: Moment) -> str:
    if moment.pacing_gain:
        gains = moment.pacing_gain, moment.cwnd_gain
        if gains == (UNIT, UNIT) and moment.acked_bytes <= 1:
            return ""  # a kernel's BBR before data is acknowledged, of which a SYN is none
        return {(HIGH, HIGH): "startup", (DRAIN, HIGH): "drain", (UNIT, UNIT): "probe_rtt"}.get(gains, "probe_bw")
    if moment.is_recovering:
        return "recovery"
    return "avoidance" if moment.ssthresh and moment.cwnd >= moment.ssthresh else "slow start"


def cycle(found: Sequence[Phase]) -> list[tuple[int, int]]:
    """Which pacing gain followed which in PROBE_BW, each pair once."""
    pairs: set[tuple[int, int]] = set()
    for phase in found:
        if phase.name == "probe_bw":
            gains = [moment.pacing_gain for moment in phase.moments]
            pairs |= {(one, other) for one, other in pairwise(gains) if one != other}
    return sorted(pairs)


def spacings_ns(found: Sequence[Phase], name: str) -> list[int]:
    """From the beginning of each phase of that name to the next one's."""
    starts = [phase.start_ns for phase in found if phase.name == name]
    return [later - earlier for earlier, later in pairwise(starts)]


def durations_ns(found: Sequence[Phase], name: str) -> list[int]:
    """How long the phases of that name lasted, without one that the flow ended in."""
    return [later.start_ns - earlier.start_ns for earlier, later in pairwise(found) if earlier.name == name]


def bandwidth_bps(moments: Sequence[Moment]) -> float:
    """BBR's estimate: the median of PROBE_BW."""
    return median(moment.bw_bps for phase in phases(moments) if phase.name == "probe_bw" for moment in phase.moments)


def reductions(found: Sequence[Phase]) -> list[float]:
    """What share of the window each loss left: ssthresh by the window just before, of all but the first."""
    shares = [
        after.moments[0].ssthresh / before.moments[-1].cwnd
        for before, after in pairwise(found)
        if after.name == "recovery" and before.name == "avoidance"
    ]
    return shares[1:]


def goodput_bps(moments: Sequence[Moment]) -> float:
    """What was acknowledged a second in the later half."""
    half = moments[-1].time_ns // 2
    later = [moment for moment in moments if moment.time_ns >= half]
    return 8e9 * (later[-1].acked_bytes - later[0].acked_bytes) / (later[-1].time_ns - later[0].time_ns)


HIGH, DRAIN, UNIT = 739, 88, 256
"""BBR's gains of 256 in net/ipv4/tcp_bbr.c: 2885/1000, 1000/2885, 1."""
