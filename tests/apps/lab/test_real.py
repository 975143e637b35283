"""`lab run --real` where it needs no root: what it refuses, what it asks the link for, what it says of late runs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from apps.errors import CommandError
from apps.lab import commands
from apps.lab.realtime.kernel_end import kernel_state
from apps.lab.realtime.options import as_words, link_options
from apps.lab.realtime.refusals import kernel_congestion_controls
from apps.lab.realtime.runner import RealRunner, facts
from apps.link.report import INVALID
from stacks.lab.experiment.values import Experiment
from stacks.lab.results.record import Record
from stacks.lab.runners.catalogue import RUNNERS, runner_for
from stacks.lab.runners.runner import Progress
from stacks.runtime import LocalError
from tests.stacks.lab.documents import PLAIN, changed, document, experiment
from transports.link.disciplines import read_queue
from transports.link.elements import read_element
from transports.link.linkspec import read_link
from transports.relay.lateness import Lateness
from transports.tcp_info import BbrInfo, TcpInfo

WEB = '[[traffic]]\nkind = "web"\nsizes = "10kB"\nrate = "1Mbit/s"\n'


def runner_of(text: str) -> str:
    return runner_for(experiment(text), document(text).origin, is_real=True).name


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed('kind = "dumbbell"', 'kind = "parking-lot"\nhops = 2'), ":8: real time has one .* no parking-lot"),
        (changed('name = "a"', 'name = "a"\nsender = "toe"'), r":15: a has the sender toe .* not there yet"),
        (changed('name = "a"', 'name = "a"\nsender = "linux:zzz"'), r":15: this kernel has no zzz .*reno"),
        (changed('name = "a"', 'name = "a"\nrtt = "30ms"'), r":15: all flows have the link's rtt in real time"),
        (
            changed('name = "a"', 'name = "a"\nsender = "linux:reno"\ninitial_window = 4'),
            r":16: initial_window is the kernel's own business for linux:reno",
        ),
        (changed('controller = "reno"', 'controller = "hpcc"'), r":15: hpcc needs telemetry"),
        (changed('controller = "reno"', 'controller = "dcqcn"'), r":15: dcqcn needs notifications"),
        (changed('buffer = "1bdp"', "thinning = 2"), r":11: thinning is for packets of models"),
        (changed("seed = 1", "packet = 64"), r":4: packets have 576 to 9000 bytes"),
        (changed("seed = 1", 'metrics = ["harm"]'), r":4: harm runs the experiment again"),
        (changed('name = "a"', 'name = "a"\ncount = 300'), r"301 flows, and real time has room for 256"),
        (PLAIN + WEB + 'sender = "linux:zzz"\n', r"this kernel has no zzz"),
    ],
)  # fmt: skip
def test_what_real_time_cannot_do_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(LocalError, match=line):
        runner_of(text)


def test_the_kernel_beside_ours_is_not() -> None:
    assert "reno" in kernel_congestion_controls()
    text = changed('name = "a"\ncontroller = "reno"', 'name = "a"\nsender = "linux:reno"')
    assert runner_of(text + WEB + 'sender = "linux:reno"\n') == "real"


def test_without_root_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CommandError, match="real time needs root, for network namespaces and TUN devices; .*sudo"):
        RealRunner().run(experiment(), lambda _: None)


def test_the_link_is_asked_for_as_the_experiment_has_it() -> None:
    text = changed('buffer = "1bdp"', 'queue = { kind = "codel", target = "10ms" }\nloss = "1%"\njitter = "3ms"')
    made = experiment(text + '[topology.back]\nrate = "1Mbit/s"\nbuffer = "10packets"\n')
    words = link_options(made.topology.hops[0], rtt_ns=20_000_000, packet_bytes=1500)
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "--rate": "10000000bit",
        "--delay": "10000000ns",
        "--queue": "codel:target=10ms",
        "--limit": "25000B",  # 10 Mbit/s times 20 ms
        "--loss": "1%",
        "--element": "jitter=3ms",
        "--back-rate": "1000000bit",
        "--back-delay": "10000000ns",
        "--back-queue": "droptail",
        "--back-limit": "15000B",
        "--back-loss": "",
    }


def test_a_way_back_without_a_rate_has_no_queue() -> None:
    words = link_options(experiment().topology.hops[0], rtt_ns=20_000_000, packet_bytes=1500)
    back = dict(zip(words[::2], words[1::2], strict=True))
    assert (back["--back-rate"], back["--back-limit"]) == ("unlimited", "0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", {"kind": "gilbert-elliott", "p": 0.01, "r": 0.3}),
        ("loss", {"kind": "list", "packets": [1, 5, "10..12"]}),
        ("blackout", {"times": [["1s", "2s"], ["5s", "5200ms"]], "period": "10s"}),
        ("policer", {"rate": "5mbit", "burst": "10kB"}),
        ("policer", {"rate": 5_000_000, "burst": "10kB"}),
        ("jitter", {"kind": "uniform", "high": "3ms", "order": False}),
        ("queue", {"kind": "priority", "queues": ["droptail", "codel"]}),
        ("queue", {"kind": "red", "min": "10packets", "max": "30packets", "ecn": True}),
    ],
)
def test_a_command_line_says_the_same_as_toml(name: str, value: object) -> None:
    if name == "queue":
        assert read_queue(as_words(value)) == read_queue(value)
    else:
        assert read_element(name, as_words(value)) == read_element(name, value)


@pytest.mark.parametrize(
    "rate",
    [
        {"kind": "shaper", "rate": 5_000_000, "burst": "10kB", "peak": 7_000_000},
        {"kind": "schedule", "changes": [["0s", 5_000_000], ["1s", "2mbit"], ["2s", 0]], "period": "3s"},
    ],
)
def test_a_command_line_says_the_same_rate_as_toml(rate: object) -> None:
    assert read_link({"rate": as_words(rate)}).rate == read_link({"rate": rate}).rate


def test_a_kernel_s_states_have_the_words_of_ours() -> None:
    info = TcpInfo(bytes(200))
    info.cwnd, info.ssthresh = 10, 20
    assert kernel_state(info, None) == "slow start"
    info.cwnd = 20
    assert kernel_state(info, None) == "congestion avoidance"
    info.ca_state = 3
    assert kernel_state(info, None) == "recovery"
    bbr = BbrInfo(bytes(20))
    bbr.pacing_gain = bbr.cwnd_gain = 739
    assert kernel_state(info, bbr) == "STARTUP"


ON_TIME: dict[str, object] = {"valid": True, "reason": ""}


def test_a_run_counts_when_neither_the_link_nor_the_flows_were_late() -> None:
    ends = Lateness()
    ends.record(100_000, 99)
    ends.record(5_000_000)
    assert facts(ON_TIME, ends)["valid"] is True
    ends.record(5_000_000)
    late = facts({"valid": False, "reason": "the link"}, ends)
    assert late["valid"] is False
    assert str(late["reason"]).startswith("the link; 1 % of what the flows did was 5.00 ms late or more (budget: 1 ms)")


class Late(RealRunner):
    """A machine that is too slow."""

    def run(self, experiment: Experiment, progress: Progress) -> Record:
        record = RUNNERS["virtual"].run(replace(experiment, duration_ns=1_100_000_000), progress)
        return replace(record, facts={"valid": False, "reason": "too slow"})


def test_a_run_that_does_not_count_is_marked_and_has_a_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.toml").write_text(PLAIN)
    monkeypatch.setitem(RUNNERS, "real", Late())
    assert commands.run(str(tmp_path / "e.toml"), output=tmp_path / "results", real=True) == INVALID
    said = capsys.readouterr().out
    assert said.count("NOT VALID: too slow") == 2
    (manifest,) = (tmp_path / "results").rglob("manifest.json")
    assert json.loads(manifest.read_text())["real"] == {"valid": False, "reason": "too slow"}
    assert commands.run(str(manifest.parent), output=tmp_path / "results") == INVALID
    assert "NOT VALID" in capsys.readouterr().out
