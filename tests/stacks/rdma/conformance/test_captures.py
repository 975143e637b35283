"""The captures of real machines keep every rule, and so does what our own two ends send while packets get lost."""

from __future__ import annotations

import pytest

from stacks.rdma import Device
from stacks.rdma.conformance import Checker, observe
from tests.captures.frames import CAPTURES, frames
from tests.stacks.rdma.rig import Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.datagram import Transmit
from transports.framing import UdpFramer
from transports.simulation import Impairments


@pytest.mark.parametrize("capture", CAPTURES)
def test_linux_keeps_every_rule(capture: str) -> None:
    checker = Checker()
    for number, frame in enumerate(frames(capture), start=1):
        seen = observe(number, 0, frame)
        if seen is not None:
            checker.handle(seen)
    flows = checker.finish()
    assert checker.findings == []
    assert {flow.transport for flow in flows} == {"RC", "UC"}
    assert all(flow.answered_to for flow in flows if flow.transport == "RC")


class Tapped:
    """A core whose packets are seen as they leave, before anything happens to them."""

    def __init__(self, core: Device, frames: list[tuple[int, bytes]]) -> None:
        self._core = core
        self._frames = frames
        self.handle_burst, self.handle_timeout = core.handle_burst, core.handle_timeout
        self.poll_deadline, self.sent = core.poll_deadline, core.sent

    def poll_transmit(self, now: int) -> Transmit | None:
        transmit = self._core.poll_transmit(now)
        if transmit is not None:
            framer = UdpFramer(self._core.address, transmit.destination)
            content = b"".join(transmit.views)
            size = transmit.segment_bytes or len(content)
            for number, start in enumerate(range(0, len(content), size)):
                payload = content[start : start + size]
                headers = framer.headers(payload, ecn=transmit.ecn, identification=number)
                self._frames.append((now, headers + payload))
        return transmit


@pytest.mark.parametrize("seed", range(12))
def test_our_own_two_ends_keep_every_rule_while_packets_get_lost(seed: int) -> None:
    frames: list[tuple[int, bytes]] = []
    rig = Rig(seed=seed, impairments=Impairments(loss=0.03), connect=False, memory_bytes=MEMORY_BYTES)
    for end in rig.ends:
        rig.network.detach(end.host)
        end.host = rig.network.attach(Tapped(end.device, frames), end.device.address)
    rig.connect()
    traffic = Traffic(rig, seed)
    for _ in range(40):
        for side in traffic.sides:
            traffic.post_random(side)
            side.post_receive()
        traffic.run(1_000_000)
    traffic.finish()
    checker = Checker()
    for number, (time_ns, frame) in enumerate(frames, start=1):
        seen = observe(number, time_ns, frame)
        assert seen is not None
        checker.handle(seen)
    flows = checker.finish()
    assert checker.findings == []
    assert sum(flow.counts.retransmitted for flow in flows) > 0
