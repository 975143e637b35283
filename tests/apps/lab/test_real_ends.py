"""Both ends of flows in real time over loopback, which needs no root; and their counts beside a link's record."""

from __future__ import annotations

import contextlib
from array import array

import pytest

from apps.lab.realtime.end import FlowEnd
from apps.lab.realtime.measured import links_of, merge, value_at
from apps.lab.realtime.runner import Ends
from stacks.lab.running.collect import collect
from tests.stacks.lab.documents import PLAIN, changed, experiment
from transports.relay.ledger import LinkRecord

HERE = (("", "127.0.0.1"), ("", "127.0.0.1"))
MS = 1_000_000
FLOWS = changed('duration = "4s"\nwarmup = "1s"', 'duration = "800ms"\nwarmup = "0s"').replace(
    'name = "a"', 'name = "a"\nsize = "300kB"'
).replace('start = "500ms"', 'sender = "linux:reno"\nsize = "300kB"\nstart = "50ms"') + """
[[flow]]
name = "written"
sender = "linux:reno"
rate = "12Mbit/s"
stop = "200ms"
[[traffic]]
kind = "constant"
rate = "2400kbit/s"
packet = 300
"""  # fmt: skip


@pytest.mark.slow
def test_flows_of_ours_and_of_the_kernel_send_what_they_should() -> None:
    made = experiment(FLOWS)
    with contextlib.closing(Ends(made, HERE)) as ends:
        done: list[float] = []
        ends.run(done.append)
        ours, kernel, written = ends.flows
        assert (ours.goodput_bytes, kernel.goodput_bytes) == (300_000, 300_000)
        assert 0 < ours.completed_ns < 800 * MS
        assert 50 * MS < kernel.completed_ns < 800 * MS
        # 12 Mbit/s for 200 ms.
        assert 295_000 <= written.goodput_bytes <= 302_000
        assert written.completed_ns == -1
        # 300 kB in packets of 1,448; a busy machine may have some sent twice.
        assert ours.counts.sent_packets - ours.counts.retransmitted_packets == 208
        assert kernel.counts.sent_packets > 0
        assert kernel.counts.timeouts == -1  # the kernel does not tell
        traffic = ends.traffic[0].run
        # One packet a millisecond.
        assert 798 <= traffic.sent_packets <= 801
        assert 0 < traffic.arrived_packets <= traffic.sent_packets
        assert ends.samples is not None
        assert set(ends.samples.series["flow"]) == {0, 1, 2}
        assert ends.samples.series["goodput_bytes"][-1] > 0
        assert done[-1] == 1.0
        assert kernel.config.controller == "linux:reno"


def record_of(flows: list[FlowEnd], *, epoch_ns: int) -> LinkRecord:
    """A link of 10 Mbit/s that sent 1,000 packets a second for 4.3 s; the run begins after 0.2 s of it."""
    times = array("q", range(0, 4_301 * MS, 100 * MS))
    columns = {name: array("q", [0] * len(times)) for name in ("way", "marked_packets", "lost_packets")}
    queues = {
        "time_ns": times,
        **columns,
        "backlog_bytes": array("q", [7 * time_ns // (100 * MS) for time_ns in times]),
        "backlog_packets": array("q", [1] * len(times)),
        "sent_bytes": array("q", [time_ns // MS * 1000 for time_ns in times]),
        "sent_packets": array("q", [time_ns // MS for time_ns in times]),
        "dropped_packets": array("q", [time_ns // (100 * MS) for time_ns in times]),
    }
    packets = {
        "time_ns": array("q", [1_000 * MS, 1_250 * MS, 1_260 * MS, 4_150 * MS, 4_250 * MS, 2_000 * MS]),
        "flow": array("q", [0, 0, 1, 0, 0, 2]),
        "size_bytes": array("q", [1500] * 6),
        "delay_ns": array("q", [1, 20 * MS, 30 * MS, 40 * MS, 1, 1]),
    }
    names = (("forward", flows[0].link_name), ("forward", flows[1].link_name), ("back", "an acknowledgement"))
    return LinkRecord(epoch_ns, names, packets, queues)


def test_what_the_link_recorded_stands_beside_what_the_ends_know() -> None:
    made = experiment(PLAIN)
    with contextlib.closing(Ends(made, HERE)) as ends:
        record = record_of(ends.flows, epoch_ns=1_000)
        measured = merge(
            made,
            record,
            start_ns=1_000 + 205 * MS,
            flows=ends.flows,
            traffic=(),
            samples=ends.samples,
            links=ends.links,
        )
        # From the end of the warm-up, 1 s after the start, to the end of the run; nothing before or after.
        assert list(ends.flows[0].delays or ()) == [20 * MS, 40 * MS]
        assert list(ends.flows[1].delays or ()) == [30 * MS]
        found = collect(measured)
        (link,) = ends.links
        # 3 s of the run, at 1,000 packets a second, however samples lie.
        assert link.watched == (3_000, 3_000_000, 30, 0, 0)
        assert found.metrics["utilisation"] == pytest.approx(0.8)
        assert found.metrics["loss"] == 30 / 3_030
        assert found.metrics["delay_p50_ns"] == 30 * MS
        assert found.metrics["b.delay_p95_ns"] == 30 * MS
        queues = found.tables["queues"]
        # Samples of the run only, at its times.
        assert (queues["time_ns"][0], queues["time_ns"][-1]) == (95 * MS, 3_995 * MS)
        assert queues["backlog_bytes"][0] == 21
        assert found.tables["links"]["limit_bytes"][0] == 25_000
        assert found.events == 4_205


def test_a_counter_between_samples_has_moved_evenly() -> None:
    assert [value_at([0, 10, 20], [0, 100, 300], at) for at in (-5, 0, 5, 15, 20, 99)] == [0, 0, 50, 200, 300, 300]


def test_links_without_a_rate_are_wires() -> None:
    (link,) = links_of(experiment().topology.hops[0], rtt_ns=20 * MS, packet_bytes=1500)
    assert (link.name, link.way, link.is_constant) == ("bottleneck", 0, True)
