"""How much is in flight: it starts small, grows with what arrives, and halves with what is lost."""

from __future__ import annotations

from stacks.rdma import WrOpcode
from stacks.rdma.reliable.window import MINIMUM_PACKETS, STEP, Window
from tests.stacks.rdma.hand import FIRST_PSN, MTU, NAK, HandRig
from tests.stacks.rdma.rig import Rig
from transports.simulation import Impairments
from wire.seqnum import psn_add


def test_it_doubles_each_round_trip_up_to_its_maximum() -> None:
    window = Window(10, 70)
    sizes = []
    for _ in range(4):
        window.acknowledged(window.packets)
        sizes.append(window.packets)
    assert sizes == [20, 40, 70, 70]


def test_it_halves_at_a_loss_and_then_grows_by_steps() -> None:
    window = Window(64, 256)
    window.lost()
    assert window.packets == 32
    for expected in (32 + STEP, 32 + 2 * STEP):
        window.acknowledged(window.packets - 1)
        window.acknowledged(1)
        assert window.packets == expected
    for _ in range(10):
        window.lost()
    assert window.packets == MINIMUM_PACKETS


def test_it_is_never_larger_than_its_maximum_nor_smaller_than_its_start() -> None:
    assert Window(100, 50).packets == 50
    small = Window(2, 50)
    small.lost()
    assert small.packets == 2


def test_no_more_than_the_window_is_out_and_acknowledgements_open_it() -> None:
    rig = HandRig(timeout=0, memory_bytes=1 << 19)
    rig.end.send(1, WrOpcode.RDMA_WRITE, 0, 1 << 19)
    first = rig.received()
    # What the default receive buffer holds: 160,000 bytes, 512 of bookkeeping for each packet.
    assert len(first) == 160_000 // (MTU + 512) == 208
    asked = [number for number, packet in enumerate(first) if packet.bth.ack_req]
    assert 3 <= len(asked) <= 8
    assert rig.received() == []
    rig.acknowledge(psn_add(FIRST_PSN, 99))
    # As many as arrived, and as many again, for the window has grown by them.
    assert len(rig.received()) == 200


def test_a_loss_halves_what_may_be_out() -> None:
    rig = HandRig(timeout=0, memory_bytes=1 << 19)
    rig.end.send(1, WrOpcode.RDMA_WRITE, 0, 1 << 19)
    rig.received()
    rig.acknowledge(FIRST_PSN, NAK)
    again = rig.received()
    assert len(again) == 104
    assert again[0].bth.psn == FIRST_PSN
    assert len(again[0].payload) == MTU


def test_a_receive_buffer_that_is_too_small_slows_a_transfer_and_does_not_stop_it() -> None:
    # 100 kB per 50 microseconds are all that the link takes: more than that in flight is lost.
    rig = Rig(impairments=Impairments(rate_bps=8_000_000_000, queue_bytes=60_000), memory_bytes=1 << 20)
    left, right = rig.ends
    left.memory[:] = bytes(range(256)) * 4096
    left.send(1, WrOpcode.RDMA_WRITE, 0, 1 << 20, remote_address=right.mr.address, rkey=right.mr.rkey)
    rig.run()
    assert [wc.status.name for wc in left.completions] == ["SUCCESS"]
    assert right.memory == left.memory
    assert left.device.counters.rcvd_seq_err + left.device.counters.completer_retry_err > 0
