"""`baremetal link` and `lab send`: a link between real sockets, as people run it, and what they are told when wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.link.report import INVALID
from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line
from wire.pcapng import decode_packets

LINK = ("link", "udp", "--listen", "127.0.0.1:0", "--to")
ENDS = ("--json", "--until-stdin-ends", "--no-realtime")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that is the server behind a link."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(LIMIT_S)
        yield opened


def link_to(server: socket.socket, *options: str) -> ServingProcess:
    host, port = server.getsockname()
    return ServingProcess([*LINK, f"{host}:{port}", *ENDS, *options], timeout_s=LIMIT_S)


def client_of(link: ServingProcess) -> socket.socket:
    host, _, port = str(link.ready["listen"]).rpartition(":")
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(LIMIT_S)
    opened.connect((host, int(port)))
    return opened


@pytest.mark.slow
def test_a_link_carries_both_ways_is_looked_at_changed_and_reports(server: socket.socket, tmp_path: Path) -> None:
    capture, samples = tmp_path / "link.pcapng", tmp_path / "samples.csv"
    options = ("--delay", "2ms", "--lateness", "10s", "--capture", str(capture), "--samples", str(samples))
    with link_to(server, *options) as link, client_of(link) as client:
        client.send(b"question")
        question, upstream = server.recvfrom(100)
        server.sendto(b"answer", upstream)
        assert (question, client.recv(100)) == (b"question", b"answer")

        shown = json_of("link", "show", str(link.pid))
        assert (shown["role"], shown["realtime"]) == ("link", False)
        config = json_of("link", "change", str(link.pid), "--rate", "5mbit", "--back-delay", "3ms")
        assert [config[way]["rate"] for way in ("forward", "back")] == ["5mbit", "5mbit"]  # type: ignore[index]
        assert [config[way]["delay"] for way in ("forward", "back")] == ["2ms", "3ms"]  # type: ignore[index]
        assert json_of("link", "rebind", str(link.pid)) == {"clients": 1}
        client.send(b"again")
        assert server.recvfrom(100)[1] != upstream
        host, port = server.getsockname()
        name = f"link {link.pid} ({link.ready['listen']} - {host}:{port})"
        assert baremetal("link", "show", str(link.pid)).stdout.startswith(f"{name}\n")
        told = baremetal("link", "change", str(link.pid), "--rate", "6mbit", "--back-loss", "0%").stdout
        assert told == f"{name}, forward: rate 6mbit\n{name}, back: rate 6mbit, loss 0%\n"
        assert baremetal("link", "change", str(link.pid), "--delay", "2ms").stdout == f"{name}, both ways: delay 2ms\n"
        assert baremetal("link", "rebind", str(link.pid)).stdout == f"{name}: 1 client has a new port\n"
        report = link.report(LIMIT_S)
    assert link.stop() == 0
    forward, lateness = report["forward"], report["lateness"]
    assert isinstance(forward, dict)
    assert isinstance(lateness, dict)
    assert (forward["entered_packets"], forward["left_packets"]) == (2, 2)
    assert (lateness["valid"], lateness["departure"]["count"]) == (True, 3)
    packets = list(decode_packets(capture.read_bytes()))
    assert [packet.interface for packet in packets] == [0, 1, 2, 3, 0, 1]
    assert packets[1].timestamp_ns - packets[0].timestamp_ns == 2_000_000
    lines = samples.read_text().splitlines()
    assert lines[0] == "way,flow,start_ns,packets,bytes,mean_delay_ns"
    assert sum(line.startswith("forward") for line in lines) >= 1


@pytest.mark.slow
def test_a_run_that_was_too_late_ends_with_a_status_of_its_own(server: socket.socket) -> None:
    with link_to(server, "--lateness", "1us") as link, client_of(link) as client:
        client.send(b"question")
        server.recv(100)
        report = link.report(LIMIT_S)
        assert link.stop() == INVALID
    lateness = report["lateness"]
    assert isinstance(lateness, dict)
    assert not lateness["valid"]
    assert "late or more" in lateness["reason"]


@pytest.mark.slow
def test_ctrl_c_prints_a_summary(server: socket.socket) -> None:
    host, port = server.getsockname()
    words = command_line([*LINK, f"{host}:{port}", "--lateness", "10s"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stdout is not None
        assert "leads to" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert "departures late by" in printed
    assert "valid" in printed


@pytest.mark.slow
def test_a_model_flow_crosses_a_link_in_real_time(tmp_path: Path) -> None:
    words = ["lab", "serve", "--listen", "127.0.0.1:0", "--json", "--until-stdin-ends", "--no-realtime"]
    with ServingProcess(words, timeout_s=LIMIT_S) as serve:
        to = str(serve.ready["listen"])
        options = (*LINK, to, *ENDS, "--rate", "20mbit", "--delay", "5ms", "--lateness", "10s")
        with ServingProcess(options, timeout_s=LIMIT_S) as link:
            trace = tmp_path / "trace.csv"
            result = json_of(
                *("lab", "send", str(link.ready["listen"]), "--controller", "cubic", "--size", "500kB"),
                *("--trace", str(trace), "--no-realtime", "--time", "50s"),
            )
    assert int(str(result["delivered_bytes"])) >= 500_000
    assert int(str(result["rtt_min_ns"])) >= 10_000_000
    # Nothing arrives faster than the link goes.
    assert float(str(result["goodput_mbit_s"])) <= 20.0
    assert trace.read_text().startswith("time_ns,state,window_bytes,rate_bps,")


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_flow_that_nobody_answers_is_a_failure(server: socket.socket, options: tuple[str, ...]) -> None:
    # The server is a socket that says nothing.
    to = "{}:{}".format(*server.getsockname())
    done = baremetal("lab", "send", to, "--controller", "bbr3", "--time", "300ms", "--no-realtime", *options)
    said = f"baremetal: nobody answered at {to}; is `baremetal lab serve` running there?"
    assert only_line(done) == said
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("link", "udp", "--listen", "here", "--to", "127.0.0.1:1"), "no address and port"),
        (("link", "udp", "--listen", "127.0.0.1:70000", "--to", "127.0.0.1:1"), "no address and port"),
        ((*LINK, "127.0.0.1:1", "--rate", "fast"), "is a rate such as 20mbit"),
        ((*LINK, "127.0.0.1:1", "--rate", "20"), "rate needs a unit: 20mbit, or 20bit for bits per second"),
        ((*LINK, "127.0.0.1:1", "--back-rate", "shaper:rate=5,burst=9kB"), "rate needs a unit: 5mbit"),
        ((*LINK, "127.0.0.1:1", "--rate", "schedule:changes=0s=20mbit|1s=5"), "changes needs a unit: 5mbit"),
        ((*LINK, "127.0.0.1:1", "--delay", "soon"), "is a time such as 20ms"),
        ((*LINK, "127.0.0.1:1", "--queue", "codle"), "is it codel?"),
        ((*LINK, "127.0.0.1:1", "--queue", "codel:target=never"), "target"),
        ((*LINK, "127.0.0.1:1", "--limit", "lots"), "such as 100packets"),
        ((*LINK, "127.0.0.1:1", "--loss", "150%"), "probability"),
        ((*LINK, "127.0.0.1:1", "--element", "gitter=3ms"), "with one of mtu"),
        ((*LINK, "127.0.0.1:1", "--back-element", "jitter=x"), "jitter"),
        ((*LINK, "127.0.0.1:1", "--samples", "/nonexistent/file"), "folder that is there"),
        (("link", "tun", "--left", "a", "--right", "a/bm1"), "both sides are in one namespace"),
        (("link", "tun", "--left", "a/bm0/10.0.0.300/24"), "no address with a prefix"),
        (("link", "tun", "--left", "a/much-too-long-name"), "no side"),
        (("link", "change"), "name what is to be otherwise"),
        (("link", "change", "--rate", "1mbit", "--only", "up"), "forward and back"),
        (("lab", "send", "127.0.0.1"), "no address and port"),
        (("lab", "send", "127.0.0.1:1", "--controller", "nonesuch"), "nonesuch"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(words: tuple[str, ...], said: str) -> None:
    done = baremetal(*words)
    assert said in only_line(done)
    assert done.returncode == 2


@pytest.mark.parametrize("words", [("show",), ("change", "--rate", "1mbit"), ("rebind",)])
def test_a_link_that_does_not_run_is_told(words: tuple[str, ...]) -> None:
    assert "no link 1 of yours runs here" in only_line(baremetal("link", words[0], "1", *words[1:]))


@pytest.mark.slow
@pytest.mark.parametrize("words", [("change", "--rate", "1mbit"), ("rebind",)])
def test_a_link_is_changed_only_by_its_number_since_it_may_be_anybody_s(
    server: socket.socket, words: tuple[str, ...]
) -> None:
    host, port = server.getsockname()
    with link_to(server) as link:
        before = json_of("link", "show", str(link.pid))
        done = baremetal("link", *words)
        assert done.returncode == 2
        line = only_line(done)
        assert f"say which link to {words[0]}" in line
        assert f"{link.pid} ({link.ready['listen']} - {host}:{port})" in line
        assert re.search(rf"such as baremetal link {words[0]} \d+$", line)
        after = json_of("link", "show", str(link.pid))
    assert (after["forward"], after["rebindings"]) == (before["forward"], before["rebindings"])


def test_help_of_change_speaks_of_both_ways() -> None:
    printed = baremetal("link", "change", "--help").stdout
    lines = {line.split()[1]: line for line in printed.splitlines() if "--" in line}
    for option in ("--rate", "--delay", "--loss"):
        assert "Of both ways" in lines[option]
        assert "way back" in lines[f"--back-{option[2:]}"]


def test_a_port_that_is_taken_is_told(server: socket.socket) -> None:
    host, port = server.getsockname()
    line = only_line(baremetal("link", "udp", "--listen", f"{host}:{port}", "--to", "127.0.0.1:1"))
    assert "is taken by another process" in line


@pytest.mark.slow
def test_what_a_running_link_cannot_change_is_told(server: socket.socket) -> None:
    with link_to(server) as link:
        from transports.control import ControlClient, ControlError, running_processes

        (entry,) = [each for each in running_processes("link") if each.pid == link.pid]
        with ControlClient(entry.path) as client:
            for arguments, words in (
                ({"forward": {"queue": "codel"}}, "not queue"),
                ({"up": {}}, "not up"),
                ({"forward": 3}, "object of changes"),
                ({"forward": {"rate": "fast"}}, "rate"),
            ):
                with pytest.raises(ControlError, match=words):
                    client.command("change", arguments)
            assert json.dumps(client.snapshot())
