"""Experiments run in virtual time: the same every time, and what is recorded is what happened."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from stacks.lab.results.record import Record
from stacks.lab.runners.virtual import VirtualRunner
from stacks.lab.running.exponential import FRACTION_BITS, exponential_ns, minus_ln
from stacks.runtime import LocalError
from tests.stacks.lab.documents import changed, experiment

MS = 1_000_000
PAYLOAD_SHARE = 1448 / 1500


def run(text: str, folder: Path | None = None) -> Record:
    return VirtualRunner().run(experiment(text, folder=folder), lambda _: None)


def test_two_runs_are_identical_and_a_seed_that_nobody_draws_from_changes_nothing() -> None:
    first = run(changed("seed = 1", "seed = 1"))
    assert first.digest() == run(changed("seed = 1", "seed = 1")).digest()


def test_a_seed_moves_starts_that_have_a_random_part() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\njitter = "100ms"')
    starts = [run(text.replace("seed = 1", f"seed = {seed}")).tables["flows"]["start_ns"][0] for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2]
    assert all(0 <= int(start) < 100 * MS for start in starts)


def test_a_flow_with_a_size_takes_the_time_that_its_window_and_the_link_allow() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nsize = "14480B"').partition('[[flow]]\nname = "b"')[0]
    record = run(text)
    flows = record.tables["flows"]
    # Ten packets of 1,448 bytes and headers fit the initial window: 12 ms on a link of 10 Mbit/s and 10 ms of wire,
    # which is the ideal.
    assert flows["completion_ns"][0] == flows["ideal_ns"][0] == 22 * MS
    assert flows["slowdown_milli"][0] == 1000
    assert record.metrics["slowdown_p50"] == 1


def test_headers_take_their_part_of_the_link_and_are_no_goodput() -> None:
    shares = []
    for headers in (0, 52, 500):
        record = run(changed("seed = 1", f"seed = 1\nheaders = {headers}"))
        assert record.metrics["utilisation"] == pytest.approx(1, abs=0.01)
        shares.append(record.metrics["goodput_bps"])
    # The same packets cross the link, whatever of them is payload.
    assert shares[1] == pytest.approx(shares[0] * 1448 / 1500, rel=1e-5)  # type: ignore[operator]
    assert shares[2] == pytest.approx(shares[0] * 1000 / 1500, rel=1e-5)  # type: ignore[operator]


def test_an_application_that_writes_slowly_gets_what_it_writes() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nrate = "2Mbit/s"').partition('[[flow]]\nname = "b"')[0]
    goodput = int(run(text).tables["flows"]["goodput_bps"][0])
    assert goodput == pytest.approx(2_000_000, rel=0.01)


def test_a_flow_that_stops_is_measured_until_then() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nstop = "2s"')
    record = run(text)
    flows, series = record.tables["flows"], record.tables["series"]
    assert flows["end_ns"][0] == 2_000 * MS
    late = [
        int(inflight)
        for time_ns, flow, inflight in zip(series["time_ns"], series["flow"], series["inflight_bytes"], strict=True)
        if flow == 0 and int(time_ns) > 2_500 * MS
    ]
    assert set(late) == {0}


def test_flows_of_different_round_trips_have_them() -> None:
    text = changed('controller = "reno"', 'controller = "reno"\nrtt = "90ms"')
    flows = run(text).tables["flows"]
    assert list(flows["rtt_ns"]) == [90 * MS, 20 * MS]
    # On the way there: half of what is added, half of the topology's own, and 1.2 ms for a packet.
    assert list(flows["empty_delay_ns"]) == [46_200_000, 11_200_000]


def test_without_samples_there_is_no_series() -> None:
    record = run(changed('sample = "20ms"', 'sample = "0s"'))
    assert sorted(record.tables) == ["flows", "links"]
    assert list(record.tables["links"]["backlog_mean_bytes"]) == [-1]


def test_only_the_metrics_that_are_asked_for_are_worked_out() -> None:
    record = run(changed("seed = 1", 'seed = 1\nmetrics = ["goodput"]'))
    assert {name.rpartition(".")[2] for name in record.metrics} == {"goodput_bps"}
    assert set(record.tables["flows"]["delay_p50_ns"]) == {-1}


def test_the_link_is_full_and_what_it_sent_is_what_arrived() -> None:
    record = run(changed('"1bdp"', '"2bdp"'))
    assert record.metrics["utilisation"] == pytest.approx(1, abs=0.01)
    assert record.metrics["goodput_bps"] == pytest.approx(10_000_000 * PAYLOAD_SHARE, rel=0.03)


def test_random_loss_on_the_link_is_as_frequent_as_it_says() -> None:
    text = changed('buffer = "1bdp"', 'loss = "2%"').replace('"4s"', '"20s"')
    links = run(text).tables["links"]
    lost, sent = int(links["lost_packets"][0]), int(links["sent_packets"][0])
    # Binomial: 2 % of about 10,000 packets has a standard deviation of 0.14 %.
    assert lost / (lost + sent) == pytest.approx(0.02, abs=0.006)


def test_flows_count_what_the_link_does_after_the_warm_up() -> None:
    # A policer alone takes packets: whatever flows lose after the warm-up, it took, but for what is on its way at
    # either end of that time (a window, here under 60 packets of each flow).
    text = changed('buffer = "1bdp"', 'buffer = "20bdp"\npolicer = { rate = "5Mbit/s", burst = "20kB" }')
    record = run(text.replace('"4s"', '"20s"').replace('warmup = "1s"', 'warmup = "8s"'))
    flows, links = record.tables["flows"], record.tables["links"]
    lost = sum(map(int, flows["lost_packets"])) - sum(map(int, flows["spurious_losses"]))
    taken, sent = int(links["lost_packets"][0]), int(links["sent_packets"][0])
    assert lost == pytest.approx(taken, abs=60)
    assert sum(map(int, flows["sent_packets"])) == pytest.approx(sent + taken, abs=120)
    # 5 Mbit/s for 12 s is 5,000 packets of 1,500 bytes.
    assert 4_500 < sent < 5_050
    assert sum(map(int, flows["goodput_bytes"])) * 8 // 12 == pytest.approx(record.metrics["goodput_bps"], abs=10)


def test_loss_on_the_way_back_costs_acknowledgements_and_no_data() -> None:
    record = run(changed('buffer = "1bdp"', 'buffer = "1bdp"\n[topology.back]\nloss = "20%"'))
    links = record.tables["links"]
    assert list(links["name"]) == ["bottleneck"]
    assert list(links["lost_packets"]) == [0]
    assert record.metrics["goodput_bps"] == pytest.approx(10_000_000 * PAYLOAD_SHARE, rel=0.05)


def test_a_rate_that_changes_is_what_gets_through() -> None:
    text = changed('"10Mbit/s"', '{ kind = "schedule", changes = [["0s", "10mbit"], ["2s", "2mbit"]] }')
    record = run(text.replace('warmup = "1s"', 'warmup = "3s"'))
    assert record.metrics["goodput_bps"] == pytest.approx(2_000_000 * PAYLOAD_SHARE, rel=0.05)
    assert "utilisation" not in record.metrics


def test_a_trace_beside_the_document_is_what_gets_through(tmp_path: Path) -> None:
    # An opportunity of 1500 bytes every 4 ms: 3 Mbit/s.
    (tmp_path / "slow.trace").write_text("4\n")
    text = changed('"10Mbit/s"', '{ kind = "trace", file = "slow.trace" }')
    record = run(text, tmp_path)
    assert record.metrics["goodput_bps"] == pytest.approx(3_000_000 * PAYLOAD_SHARE, rel=0.03)
    assert list(record.tables["links"]["rate_bps"]) == [3_000_000]


def test_constant_traffic_sends_at_its_rate_and_leaves_the_rest() -> None:
    text = changed('controller = "reno"', 'controller = "cubic"').partition('[[flow]]\nname = "b"')[0]
    record = run(text + '[[traffic]]\nkind = "constant"\nrate = "4Mbit/s"\n')
    # 4 Mbit/s in packets of 1500 bytes for 4 s.
    assert int(record.tables["traffic"]["sent_packets"][0]) == pytest.approx(4e6 * 4 / 12_000, abs=2)
    assert record.metrics["goodput_bps"] == pytest.approx(6_000_000 * PAYLOAD_SHARE, rel=0.05)


def test_on_off_traffic_is_on_for_its_part_of_the_time() -> None:
    text = changed('"4s"', '"300s"').replace('sample = "20ms"', 'sample = "0s"').partition("[[flow]]")[0]
    text += '[[traffic]]\nkind = "on-off"\nrate = "1200kbit/s"\non = "300ms"\noff = "700ms"\n'
    sent = int(run(text).tables["traffic"]["sent_packets"][0])
    # 100 packets a second when on; 300 cycles of which each has a deviation of about 0.3 s.
    assert sent == pytest.approx(100 * 300 * 0.3, rel=0.15)


def test_a_web_mix_carries_its_rate_in_flows_of_its_sizes() -> None:
    text = changed('"4s"', '"60s"').replace('sample = "20ms"', 'sample = "0s"').partition("[[flow]]")[0]
    text += '[[traffic]]\nkind = "web"\nrate = "2Mbit/s"\nsizes = "25kB"\ncontroller = "cubic"\n'
    record = run(text)
    # 10 flows a second, a Poisson process; each is two windows: its slowdown is small on a link that is a fifth full.
    assert len(record.tables["flows"]["name"]) == pytest.approx(600, abs=4 * 600**0.5)
    assert set(record.tables["flows"]["size_bytes"]) == {25_000}
    assert record.metrics["goodput_bps"] == pytest.approx(2_000_000, rel=0.2)
    assert record.metrics["completed_flows"] >= len(record.tables["flows"]["name"]) - 5


@pytest.mark.parametrize("queue", ["'codel'", "{ kind = 'pie', target = '5ms' }", "'fq_codel'", "'red'", "'dualpi2'"])
def test_an_active_queue_keeps_the_delay_below_that_of_a_full_buffer(queue: str) -> None:
    text = changed('buffer = "1bdp"', 'buffer = "8bdp"').replace('"4s"', '"8s"').replace('"1s"', '"3s"')
    plain, active = run(text), run(text.replace('buffer = "8bdp"', f'buffer = "8bdp"\nqueue = {queue}'))
    both = [int(each.metrics["latency_under_load_p95_ns"] or 0) for each in (plain, active)]
    assert both[1] < both[0] / 2


def test_the_link_that_is_measured_is_one_that_data_crosses() -> None:
    text = changed('buffer = "1bdp"', 'buffer = "1bdp"\n[topology.back]\nrate = "1Mbit/s"')
    record = run(text)
    assert list(record.tables["links"]["rate_bps"]) == [10_000_000, 1_000_000]
    assert record.metrics["utilisation"] == pytest.approx(1, abs=0.05)  # of the way there


def test_a_flow_that_is_not_enabled_is_not_there() -> None:
    assert list(run(changed('start = "500ms"', "enabled = false")).tables["flows"]["name"]) == ["a"]


def test_harm_is_what_each_loses_to_the_other() -> None:
    record = run(changed("seed = 1", 'seed = 1\nmetrics = ["goodput", "harm"]').replace('"4s"', '"10s"'))
    goodputs = {name: int(record.metrics[f"{name}.goodput_bps"] or 0) for name in "ab"}
    for name in "ab":
        # Alone, each has the link.
        harm = record.metrics[f"{name}.harm_of_goodput"]
        assert harm == pytest.approx(1 - goodputs[name] / 10_000_000, abs=0.05)
        assert f"{name}.harm_of_delay" not in record.metrics  # whose delays nobody asked for


@pytest.mark.parametrize("method", ["handle_ack", "handle_sent", "__init__"])
def test_a_controller_that_fails_is_told_in_one_line_with_its_place(tmp_path: Path, method: str) -> None:
    first = "super().__init__(*args)" if method == "__init__" else "pass"
    body = f"    def {method}(self, *args):\n        {first}\n        self.no()\n"
    (tmp_path / "mine.py").write_text(f"from stacks.congestion import Reno\nclass Mine(Reno):\n{body}")
    with pytest.raises(LocalError) as caught:
        run(changed('"reno"', '"mine.py:Mine"'), tmp_path)
    assert str(caught.value) == f"{tmp_path}/mine.py:5: AttributeError: 'Mine' object has no attribute 'no'"


def test_the_logarithm_is_right_to_nine_digits() -> None:
    for numerator, bits in ((1, 1), (1, 54), (3, 2), ((1 << 54) - 1, 54), (1 << 54, 54), (12345, 20)):
        exact = -math.log(numerator / (1 << bits))
        assert minus_ln(numerator, bits) / (1 << FRACTION_BITS) == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_exponential_times_have_their_mean_and_their_tail() -> None:
    rng = random.Random(5)
    times = [exponential_ns(rng, 1_000_000) for _ in range(20_000)]
    assert sum(times) / len(times) == pytest.approx(1_000_000, rel=0.03)
    # One in e is above the mean.
    assert sum(time > 1_000_000 for time in times) / len(times) == pytest.approx(math.exp(-1), rel=0.03)
