"""Where one of our flows differs from the kernel's by more than it may: 5 %, and nothing in what is discrete."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from interop.congestion.flows import Moment
from interop.congestion.phases import (
    Phase,
    bandwidth_bps,
    cycle,
    durations_ns,
    goodput_bps,
    phases,
    reductions,
    spacings_ns,
)


class Comparison:
    """Collects what agrees and what does not. facts: a line each; differences: those of them that are too large."""

    def __init__(self) -> None:
        self.facts: list[str] = []
        self.differences: list[str] = []

    def equal(self, what: str, theirs: object, ours: object) -> None:
        """They have to be the same."""
        self._note(f"{what}: kernel {theirs}, ours {ours}", is_fine=theirs == ours)

    def close(self, what: str, theirs: float, ours: float, unit: str = "", tolerance: float = 0.05) -> None:
        """They differ by so much of the kernel's at most."""
        line = f"{what}: kernel {theirs:.4g}{unit}, ours {ours:.4g}{unit} ({100 * (ours / theirs - 1):+.1f} %)"
        self._note(line, is_fine=abs(ours - theirs) <= tolerance * theirs)

    def _note(self, line: str, *, is_fine: bool) -> None:
        self.facts.append(line)
        if not is_fine:
            self.differences.append(line)


def compare_bbr(theirs: Sequence[Moment], ours: Sequence[Moment]) -> Comparison:
    """Phase order, gains of each, the order of PROBE_BW's gains, PROBE_RTT's spacing and length, the bandwidth.

    For flows that last at least 25 s, which is what two PROBE_RTTs take.
    """
    found = Comparison()
    kernel, model = phases(theirs), phases(ours)
    count = min(len(kernel), len(model))
    found.equal("phases", *([phase.name for phase in each[:count]] for each in (kernel, model)))
    for name in ("startup", "drain", "probe_bw", "probe_rtt"):
        found.equal(f"gains of {name}", *(gains_of(each, name) for each in (kernel, model)))
    found.equal("order of the gains of probe_bw", cycle(kernel), cycle(model))
    spacings = [[one / 1e9 for one in spacings_ns(each, "probe_rtt")] for each in (kernel, model)]
    found.equal("PROBE_RTTs are at least two", *(bool(each) for each in spacings))
    if all(spacings):
        found.close("PROBE_RTT spacing", mean(spacings[0]), mean(spacings[1]), " s")
    found.close("max_bw", bandwidth_bps(theirs) / 1e6, bandwidth_bps(ours) / 1e6, " Mbit/s")
    lengths = [[one / 1e6 for one in durations_ns(each, "probe_rtt")] for each in (kernel, model)]
    if all(lengths):
        found.facts.append(f"PROBE_RTT lasts: kernel {mean(lengths[0]):.0f} ms, ours {mean(lengths[1]):.0f} ms")
    return found


def compare_windowed(theirs: Sequence[Moment], ours: Sequence[Moment]) -> Comparison:
    """The phases from the first loss on; what a loss leaves; the goodput; the sawtooth, which is only told.

    The kernel's CUBIC leaves the first slow start by its own HyStart, ours by HyStart++ (RFC 9406): what comes before
    the first loss is not compared. Nor is the sawtooth: the kernel's cubic function is cut to whole packets, so that it
    is back at W_max up to cbrt(1 / 0.4) = 1.36 s before RFC 9438's.
    """
    found = Comparison()
    kernel, model = phases(theirs), phases(ours)
    found.equal("phases", *(kinds_from_first_loss(each) for each in (kernel, model)))
    found.close("a loss leaves", mean(reductions(kernel)), mean(reductions(model)))
    scale = PACKET_BYTES / PAYLOAD_BYTES
    found.close("goodput with headers", scale * goodput_bps(theirs) / 1e6, goodput_bps(ours) / 1e6, " Mbit/s")
    found.facts.append(f"from loss to loss: kernel {sawtooth_s(theirs):.3g} s, ours {sawtooth_s(ours):.3g} s")
    return found


def gains_of(found: Sequence[Phase], name: str) -> list[tuple[int, int]]:
    """The pairs of gains in all phases of that name."""
    return sorted({gain for phase in found if phase.name == name for gain in phase.gains})


def kinds_from_first_loss(found: Sequence[Phase]) -> list[str]:
    """Which phases there are, in the order in which they first came."""
    names = [phase.name for phase in found]
    return list(dict.fromkeys(names[names.index("recovery") :])) if "recovery" in names else []


def sawtooth_s(moments: Sequence[Moment]) -> float:
    """From loss to loss, in seconds, in the later half of all losses."""
    spacings = spacings_ns(phases(moments), "recovery")
    return mean(spacings[len(spacings) // 2 :]) / 1e9


PACKET_BYTES, PAYLOAD_BYTES = 1500, 1448
