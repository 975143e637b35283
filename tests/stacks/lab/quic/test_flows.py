"""Flows of the real QUIC stack on the laboratory's links, in virtual time."""

from __future__ import annotations

import pytest

from stacks.lab.experiment.reading import read_experiment
from stacks.lab.results.record import Record
from stacks.lab.runners.catalogue import runner_for
from stacks.lab.runners.virtual import VirtualRunner
from stacks.runtime.errors import LocalError
from tests.stacks.lab.documents import PLAIN, changed, document, experiment
from tests.stacks.lab.quic.runs import goodput_bps, link_share, lossy, run

QUIC = PLAIN.replace('controller = "reno"', 'controller = "reno"\nsender = "quic"')


def record_of(text: str) -> Record:
    return VirtualRunner().run(experiment(text), lambda _: None)


def columns(record: Record, table: str, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(record.tables[table][name] for name in names), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr1", "bbr3"])
def test_a_flow_alone_fills_the_link_as_a_model_does(controller: str) -> None:
    shares = []
    for sender in ("quic", "model"):
        world = run(lossy(controller, sender, rate="4Mbit/s", loss="0%", seconds=8), from_s=3)
        shares.append(link_share(world, from_s=3))
        assert goodput_bps(world, from_s=3) < 4e6
    quic, model = shares
    assert quic == pytest.approx(model, abs=0.02)
    assert quic > 0.95


@pytest.mark.slow
def test_a_run_is_the_same_for_a_seed() -> None:
    """Handshakes, certificates and all: sizes and times of every packet."""
    text = QUIC.replace('duration = "4s"', 'duration = "1500ms"')
    first, second = record_of(text), record_of(text)
    assert first.tables == second.tables
    assert first.tables != record_of(text.replace("seed = 1", "seed = 2")).tables


def test_a_flow_with_a_size_ends_and_closes() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nsender = "quic"\nsize = "300kB"')
    record = record_of(text)
    (row, _) = columns(record, "flows", "goodput_bytes", "completion_ns", "rtt_ns", "sent_packets")
    goodput_bytes, completion_ns, rtt_ns, sent_packets = row
    assert isinstance(completion_ns, int)
    assert isinstance(rtt_ns, int)
    assert isinstance(sent_packets, int)
    assert goodput_bytes < 300_000  # after the warm-up
    # A handshake of a round trip and a half, four rounds of slow start, 240 ms for the bytes.
    assert 3 * rtt_ns < completion_ns < 1_000_000_000


def test_an_application_that_writes_at_a_rate_is_not_held_up() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nsender = "quic"\nrate = "1Mbit/s"')
    (row, _) = columns(record_of(text), "flows", "goodput_bps", "lost_packets")
    assert row[0] == pytest.approx(1e6, rel=0.02)


def test_what_the_controller_does_is_in_the_series() -> None:
    record = record_of(QUIC)
    rows = [row for row in columns(record, "series", "flow", "window_bytes", "rtt_ns", "inflight_bytes") if row[0] == 0]
    assert len(rows) > 100
    assert rows[0][3] == 1200  # the first Initial packet
    assert all(row[2] >= 20_000_000 for row in rows[10:])  # type: ignore[operator]
    assert max(row[1] for row in rows) > 12_000  # type: ignore[type-var]


@pytest.mark.slow
def test_a_quic_flow_and_a_models_flow_share_a_link() -> None:
    text = QUIC.replace('controller = "cubic"\nstart = "500ms"', 'controller = "reno"\nstart = "500ms"')
    record = record_of(text.replace('duration = "4s"', 'duration = "12s"').replace('warmup = "1s"', 'warmup = "4s"'))
    ours, models = record.tables["flows"]["goodput_bps"]
    assert 0.5 < ours / models < 2
    assert ours + models > 0.92e7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("controller", "queue"),
    [("prague", '{ kind = "dualpi2" }'), ("cubic-ecn", '{ kind = "codel", ecn = true }')],
)
def test_marks_come_back_in_ack_frames(controller: str, queue: str) -> None:
    """RFC 9000 13.4: a queue marks, the receiver counts, the sender believes it and slows down instead of losing."""
    text = changed('controller = "reno"', f'controller = "{controller}"\nsender = "quic"')
    text = text.replace('buffer = "1bdp"', f'buffer = "4bdp"\nqueue = {queue}').split('[[flow]]\nname = "b"')[0]
    record = record_of(text)
    ((marks, lost, goodput_bps),) = columns(record, "flows", "ce_packets", "lost_packets", "goodput_bps")
    assert isinstance(marks, int)
    assert isinstance(goodput_bps, int)
    assert marks > 5
    assert lost == 0
    assert goodput_bps > 8e6


def test_a_controller_without_ecn_is_not_marked() -> None:
    text = QUIC.replace('buffer = "1bdp"', 'buffer = "4bdp"\nqueue = { kind = "codel", ecn = true }')
    ((ours, lost), _) = columns(record_of(text), "flows", "ce_packets", "lost_packets")
    assert ours == 0
    assert isinstance(lost, int)
    assert lost > 0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('sender = "quic"', 'sender = "quic"\ninitial_window = 20', "ten packets"),
        ('controller = "reno"', 'controller = "hpcc"', "telemetry of switches"),
        ('controller = "reno"', 'controller = "dcqcn"', "notifications"),
        ("seed = 1", "seed = 1\npacket = 1227", "1228 bytes at least"),
    ],
)
def test_what_quic_cannot_do_is_refused_with_its_line(old: str, new: str, why: str) -> None:
    made = document(QUIC.replace(old, new))
    read = read_experiment(made.values, made.origin)
    with pytest.raises(LocalError, match=why):
        runner_for(read, made.origin)
