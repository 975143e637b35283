"""QUIC's recovery tells a controller what the model's sender tells it, word by word, where the rules are the same."""

from __future__ import annotations

import pytest

from tests.stacks.model.rig import random_fate
from tests.stacks.quic.recovery.oracle import MS, replay, run_model

FATES = {
    "clean": {},
    "loss": {"loss": 0.01},
    "reordering": {"reorder": 0.02, "late_ns": 15 * MS},
    "all": {"loss": 0.01, "reorder": 0.01, "late_ns": 10 * MS, "duplicate": 0.01},
}


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr1", "bbr3"])
def test_a_controller_hears_the_same_and_sends_the_same(controller: str, fate: str) -> None:
    sender, expected = run_model(
        controller, random_fate(5, **FATES[fate]), rate_bps=8_000_000, delay_ns=20 * MS, limit=60, for_ns=4_000 * MS
    )
    recovery, said = replay(controller, sender.events)
    for index, (ours, theirs) in enumerate(zip(said, expected, strict=False)):
        assert ours == theirs, index
    assert len(said) == len(expected)
    assert len(said) > 1500
    assert recovery.lost_packets == sender.lost_packets
    assert recovery.spurious_losses == sender.spurious_losses
    if fate in ("loss", "all"):
        assert recovery.lost_packets > 10
    if fate in ("reordering", "all"):
        assert recovery.spurious_losses > 0
    assert recovery.path.rtt.smoothed_ns == sender.rtt.smoothed_ns
    assert recovery.path.rtt.variation_ns == sender.rtt.variation_ns
    assert recovery.path.delivery.inflight_bytes == sender.delivery.inflight_bytes
