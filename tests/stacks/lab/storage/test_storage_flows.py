"""Storage flows of experiments: laws that hold whatever the transport, and what an experiment may say of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stacks.lab.results.record import Record
from stacks.lab.runners.catalogue import runner_for
from stacks.lab.senders import check_sender
from stacks.runtime import LocalError
from tests.stacks.lab.documents import document, experiment

STORAGE = """\
name = "storage"
duration = "150ms"
warmup = "50ms"
seed = 1
sample = "5ms"
metrics = ["goodput", "delay", "utilisation"]

[topology]
kind = "dumbbell"
rate = "200Mbit/s"
rtt = "500us"
buffer = "1MB"
loss = "0%"

[[flow]]
name = "nvme"
sender = "nvme:tcp"
block = "16KiB"
depth = 16
"""
TRANSPORTS = ("rdma", "tcp", "quic")


def text(transport: str, *changes: tuple[str, str]) -> str:
    changed = STORAGE.replace("nvme:tcp", f"nvme:{transport}")
    for old, new in changes:
        assert old in changed
        changed = changed.replace(old, new)
    return changed


def run(transport: str, *changes: tuple[str, str]) -> Record:
    found = document(text(transport, *changes))
    read = experiment(text(transport, *changes))
    return runner_for(read, found.origin).run(read, lambda _: None)


def number(record: Record, name: str) -> float:
    value = record.metrics[name]
    assert isinstance(value, int | float)
    return value


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_full_link_is_full_and_delays_are_what_littles_law_says(transport: str) -> None:
    record = run(transport)
    assert number(record, "utilisation") > 0.99
    goodput_bps = number(record, "goodput_bps")
    assert 0.94 * 200e6 < goodput_bps < 200e6
    # As many commands as there are, over how many end in a second: within two of the 150 that are measured.
    assert number(record, "delay_mean_ns") == pytest.approx(16 * 16384 * 8 / goodput_bps * 1e9, rel=0.015)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_command_at_a_time_takes_a_round_trip_and_its_data(transport: str) -> None:
    record = run(transport, ("depth = 16", "depth = 1"), ('block = "16KiB"', 'block = "4KiB"'))
    # 500 us there and back, and 4096 bytes with at most 7 % of headers at 200 Mbit/s, in four packets at most.
    assert 500_000 + 164_000 <= number(record, "delay_p50_ns") <= 500_000 + 164_000 * 1.07 + 25_000
    # An acknowledgement of 60 to 100 bytes may go before the data.
    assert number(record, "delay_p95_ns") <= number(record, "delay_p50_ns") + 4000


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_losses_stop_nobody_and_a_run_is_the_same_for_a_seed(transport: str) -> None:
    changes = (('loss = "0%"', 'loss = "1%"'), ("depth = 16", "depth = 16\nwrites = 30\nqueues = 2"))
    first = run(transport, *changes)
    assert number(first, "goodput_bps") > 10e6
    assert run(transport, *changes).digest() == first.digest()
    assert run(transport, *changes, ("seed = 1", "seed = 2")).digest() != first.digest()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_size_ends_the_workload(transport: str) -> None:
    record = run(transport, ("depth = 16", 'depth = 16\nsize = "1MiB"'), ('warmup = "50ms"', 'warmup = "0s"'))
    flows = record.tables["flows"]
    assert int(flows["goodput_bytes"][0]) == 1 << 20
    assert 42_000_000 <= int(flows["completion_ns"][0]) < 60_000_000


@pytest.mark.parametrize("transport", ["tcp", "quic"])
def test_a_stopped_workload_submits_nothing_more(transport: str) -> None:
    stopped = run(transport, ("depth = 16", 'depth = 16\nstop = "80ms"'))
    moved = int(stopped.tables["flows"]["goodput_bytes"][0])
    assert moved < 0.045 * 200e6 / 8


MISTAKES = [
    (("depth = 16", "depth = 0"), "depth"),
    (('block = "16KiB"', 'block = "5kB"'), "multiple of 4096"),
    (("depth = 16", "depth = 16\nwrites = 101"), "writes"),
    (('sender = "nvme:tcp"', 'sender = "model"\ncontroller = "reno"'), "of storage flows alone"),
    (("depth = 16", 'depth = 16\nrate = "1Mbit/s"'), "and no rate"),
    (("depth = 16", "depth = 16\ninitial_window = 4"), "leave it out"),
    (("seed = 1", "seed = 1\npacket = 1000"), "packets of 1228 bytes at least"),
    (("depth = 16", 'depth = 16\ncontroller = "hpcc"'), "telemetry"),
    (('sender = "nvme:tcp"', 'sender = "nvme:quic"\ncontroller = "dcqcn"'), "CNPs"),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_a_mistake_is_one_line_that_says_what_is_wrong(change: tuple[str, str], words: str) -> None:
    changed = text("tcp", change)
    with pytest.raises(LocalError, match=words):
        runner_for(experiment(changed), document(changed).origin)


@pytest.mark.parametrize("sender", ["nvme", "nvme:fc"])
def test_storage_needs_a_transport_that_is_there(sender: str) -> None:
    with pytest.raises(LocalError, match="names the transport as well: nvme:rdma, nvme:tcp, nvme:quic"):
        check_sender(sender)


def test_a_mix_of_short_flows_is_no_storage() -> None:
    mix = 'name = "mix"\nkind = "web"\nrate = "1Mbit/s"\nsizes = "10kB"\nsender = "nvme:tcp"\ncontroller = "reno"\n'
    changed = text("tcp") + "\n[[traffic]]\n" + mix
    with pytest.raises(LocalError, match="no mix of short flows"):
        runner_for(experiment(changed), document(changed).origin)


def test_rdma_has_dcqcn_and_the_others_cubic_unless_they_are_told() -> None:
    names = [experiment(text(transport)).flows[0].controller for transport in TRANSPORTS]
    assert names == ["dcqcn", "cubic", "cubic"]
    assert replace(experiment(text("quic", ("depth = 16", 'controller = "bbr3"'))).flows[0]).controller == "bbr3"
