"""What is recorded and sampled of a link that runs."""

from __future__ import annotations

from pathlib import Path

from tests.transports.relay.rig import MS
from tests.transports.relay.test_frame_relay import FrameRig, ipv4, ipv6
from transports.relay import DirectionConfig
from transports.relay.frame import flow_name
from transports.relay.recording import record_frames
from transports.relay.sampling import FlowSamples
from wire.pcapng import decode_packets

FLOW = "10.0.0.1:1>10.0.0.2:2/17"


def rig(config: DirectionConfig) -> tuple[FrameRig, FlowSamples]:
    made = FrameRig(config, connects=False)
    samples = FlowSamples(made.relay, 10 * MS, lambda packet, _: flow_name(packet.data, 0))
    samples.watch(made.forward, made.back)
    made.connect()
    return made, samples


def test_samples_tell_bytes_and_delay_of_each_flow_and_interval() -> None:
    # 24 bytes at 192 kbit/s are 1 ms.
    made, samples = rig(DirectionConfig(rate="192kbit", delay="2ms"))
    made.near.arrived.extend([ipv4(), ipv4(), ipv4(ports=b"\x00\x09\x00\x02")])
    made.turn()
    for _ in range(30):
        made.turn(after_ns=MS)
    made.near.arrived.append(ipv4())
    made.turn()
    for _ in range(5):
        made.turn(after_ns=MS)
    found = [
        (each.flow, each.start_ns // MS, each.packets, each.bytes, each.mean_delay_ns // 1000)
        for each in samples.finished()
    ]
    assert found == [
        (FLOW, 0, 2, 48, 3500),
        ("10.0.0.1:9>10.0.0.2:2/17", 0, 1, 24, 5000),
        (FLOW, 30, 1, 24, 3000),
    ]
    assert samples.as_csv().splitlines()[1] == f"forward,{FLOW},0,2,48,3500000"


def test_flows_have_names() -> None:
    assert flow_name(ipv4(), 0) == FLOW
    assert flow_name(ipv6(), 0) == ":::1>:::2/17"
    assert flow_name(b"\x00" * 40, 0) == "other"


def test_a_capture_has_what_enters_and_what_leaves_with_its_marks_and_flipped_bits(tmp_path: Path) -> None:
    made = FrameRig(DirectionConfig(delay="2ms", elements=(("corruption", "100%"),)), connects=False)
    file = record_frames(made.relay, made.forward, made.back, tmp_path / "x.pcapng", offset=0, on_stop=print)
    made.connect()
    made.near.arrived.append(ipv4(ecn=2))
    made.turn()
    made.turn(after_ns=2 * MS)
    file.close()
    entering, leaving = decode_packets((tmp_path / "x.pcapng").read_bytes())
    assert (entering.interface, entering.link_type, entering.data) == (0, 101, ipv4(ecn=2))
    assert (leaving.interface, leaving.timestamp_ns - entering.timestamp_ns) == (1, 2 * MS)
    assert leaving.data == made.far.sent[0] == ipv4(ecn=2, ports=b"\x00\x01\x00\x03")
