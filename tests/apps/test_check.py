"""`baremetal check` as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.apps.cli import baremetal, only_line
from tests.stacks.rdma.conformance.conversation import RAW_IP, Conversation
from wire.pcapng import enhanced_packet, interface_description, section_header
from wire.roce import Opcode

pytestmark = pytest.mark.slow
LINUX = Path(__file__).parents[1] / "captures" / "linux-mtu1500.pcapng"


def test_a_capture_of_linux_is_clean() -> None:
    done = baremetal("check", str(LINUX))
    assert done.returncode == 0
    assert "777 RoCEv2 packets, every rule kept" in done.stdout


def test_a_violation_is_one_line_with_packet_rule_and_section_and_the_status_is_one(tmp_path: Path) -> None:
    talk = Conversation()
    for psn in (5, 7):
        talk.request(Opcode.RC_SEND_ONLY, psn, b"data")
    talk.ack(7)
    blocks = [section_header(), interface_description(link_type=RAW_IP)]
    blocks += [enhanced_packet(time_ns, [frame]) for time_ns, frame in talk.frames]
    path = tmp_path / "skipped.pcapng"
    path.write_bytes(b"".join(blocks))
    done = baremetal("check", str(path))
    assert done.returncode == 1
    assert "packet 2: go-back-n-sender (IBTA 9.7.5.1.1, 9.9.2.4): PSN 7 where 6 comes next: 1 skipped" in done.stdout
    (result,) = json.loads(baremetal("check", str(path), "--json").stdout)
    assert [finding["rule"] for finding in result["findings"]] == ["go-back-n-sender"]
    assert baremetal("check", "--lossy", str(path)).returncode == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot read"), (b"", "no RoCEv2 packet"), (b"nothing of the kind", "is no capture file")],
)
def test_a_file_that_cannot_be_used_is_one_line_and_status_two(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    done = baremetal("check", str(path))
    assert problem in only_line(done)
    assert done.returncode == 2


def test_a_device_without_end_is_refused_at_once() -> None:
    done = baremetal("check", "/dev/zero")
    assert only_line(done) == "baremetal: /dev/zero is no capture file; give a pcapng or pcap file"
