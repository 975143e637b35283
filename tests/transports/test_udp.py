"""What is particular to kernel UDP: who owns a port, buffers, ICMP, and a kernel that refuses on demand."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable

import pytest

from transports.counters import DatagramStatistics
from transports.datagram import Address, Buffer, Transmit
from transports.errors import TransportError
from transports.udp import UdpTransport
from transports.udp_send import UdpSender

PEER = ("127.0.0.86", 9)
Ancillary = list[tuple[int, int, bytes]]


def test_a_port_has_one_owner_and_the_second_is_told_in_one_line() -> None:
    first = UdpTransport("127.0.0.85", 0)
    with pytest.raises(TransportError) as caught:
        UdpTransport(*first.address)
    message = str(caught.value)
    assert caught.value.errno == errno.EADDRINUSE
    assert f"port {first.address[1]} of 127.0.0.85 is taken" in message
    assert "\n" not in message
    first.close()
    UdpTransport(*first.address).close()


@pytest.mark.parametrize(
    ("address", "port", "message"),
    [
        ("localhost", 0, "no numeric"),
        ("127.0.0.1", 70_000, "no numeric"),
        ("192.0.2.1", 0, "not an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_one_line(address: str, port: int, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        UdpTransport(address, port)


def test_an_icmp_error_is_a_count_and_a_hint() -> None:
    near = UdpTransport("127.0.0.85", 0)
    assert near.send(Transmit([b"?"], 0, None, PEER))
    assert near.receive() is None
    assert near.statistics.unreachable == 1
    assert near.last_unreachable == PEER
    near.close()


def test_a_datagram_too_big_for_udp_is_a_lost_one() -> None:
    near, far = UdpTransport("127.0.0.85", 0), UdpTransport("127.0.0.86", 0)
    assert near.send(Transmit([bytes(65_508)], 0, None, far.address))
    assert (near.statistics.dropped, near.statistics.too_big) == (1, 1)
    assert near.send(Transmit([bytes(65_507)], 0, None, far.address))
    burst = far.receive()
    assert burst is not None
    assert len(burst.view) == 65_507
    near.close()
    far.close()


def test_an_empty_datagram_is_counted_and_skipped() -> None:
    near, far = UdpTransport("127.0.0.85", 0), UdpTransport("127.0.0.86", 0)
    near.send(Transmit([], 0, None, far.address))
    near.send(Transmit([b"x"], 0, None, far.address))
    burst = far.receive()
    assert burst is not None
    assert bytes(burst.view) == b"x"
    assert far.statistics.empty == 1
    near.close()
    far.close()


def test_an_ipv6_datagram_without_udp_checksum_is_taken_as_rxe_sends_it() -> None:
    far = UdpTransport("::1", 0)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as near:
        near.setsockopt(socket.IPPROTO_UDP, 101, 1)  # UDP_NO_CHECK6_TX
        near.sendto(b"no checksum", far.address)
    burst = far.receive()
    assert burst is not None
    assert bytes(burst.view) == b"no checksum"
    far.close()


def test_a_batch_crosses_loopback_as_one_burst_and_is_counted() -> None:
    near, far = UdpTransport("127.0.0.85", 0), UdpTransport("127.0.0.86", 0)
    near.send(Transmit([bytes(4112 * 15)], 4112, None, far.address))
    burst = far.receive()
    assert burst is not None
    assert (len(burst.view), burst.segment_bytes) == (4112 * 15, 4112)
    assert (near.statistics.sent_datagrams, near.statistics.sent_bytes) == (15, 61_680)
    counted = far.statistics.snapshot()
    assert (counted["received_datagrams"], counted["received_bytes"], counted["received_bursts"]) == (15, 61_680, 1)
    near.close()
    far.close()


def test_a_full_receive_buffer_drops_silently_and_the_kernel_says_how_many() -> None:
    near, far = UdpTransport("127.0.0.85", 0), UdpTransport("127.0.0.86", 0, receive_buffer_bytes=4096)
    for _ in range(20):
        assert near.send(Transmit([bytes(1000)], 0, None, far.address))
    arrived = 0
    while far.receive() is not None:
        arrived += 1
    assert arrived + far.kernel_drops == 20
    assert far.kernel_drops > 0
    near.close()
    far.close()


def test_a_buffer_smaller_than_asked_for_names_the_sysctl() -> None:
    transport = UdpTransport("127.0.0.85", 0, receive_buffer_bytes=1 << 29, send_buffer_bytes=0)
    assert "net.core.rmem_max=536870912" in transport.buffer_advice
    assert "wmem_max" not in transport.buffer_advice
    assert 0 < transport.receive_buffer_bytes < 1 << 30
    transport.close()
    content = UdpTransport("127.0.0.85", 0, receive_buffer_bytes=65_536, send_buffer_bytes=65_536)
    assert content.buffer_advice == ""
    content.close()


def test_without_offload_a_send_carries_one_segment() -> None:
    transport = UdpTransport("127.0.0.85", 0, offload=False)
    assert transport.segment_limit == 1
    transport.close()
    batched = UdpTransport("127.0.0.85", 0)
    assert batched.segment_limit == 64
    batched.close()


class FakeSocket:
    """A socket that records sends and asks `verdict` about each: None lets it pass, a number is an error."""

    family = socket.AF_INET

    def __init__(self, verdict: Callable[[int, int, int], int | None]) -> None:
        self.verdict = verdict
        self.attempts = 0
        self.sent: list[tuple[bytes, int]] = []
        self.reports: list[Ancillary] = []
        self.path_mtu_modes: list[int] = []

    def sendmsg(self, buffers: Iterable[Buffer], ancdata: Ancillary, flags: int, address: Address, /) -> int:
        payload = b"".join(buffers)
        segment_bytes = int.from_bytes(ancdata[0][2], "little") if ancdata else 0
        self.attempts += 1
        error = self.verdict(self.attempts, len(payload), segment_bytes)
        if error:
            raise OSError(error, "refused")
        self.sent.append((payload, segment_bytes))
        return len(payload)

    def sendto(self, data: Buffer, address: Address, /) -> int:
        return self.sendmsg([data], [], 0, address)

    def recvmsg(
        self, bufsize: int, ancbufsize: int, flags: int, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address]:
        if not self.reports:
            raise BlockingIOError
        return b"", self.reports.pop(), 0, PEER

    def setsockopt(self, level: int, optname: int, value: int, /) -> None:
        self.path_mtu_modes.append(value)

    def fileno(self) -> int:
        return 3

    def whole(self) -> bytes:
        return b"".join(payload for payload, _ in self.sent)


def sender(fake: FakeSocket, *, offload: bool = True) -> tuple[UdpSender, DatagramStatistics]:
    statistics = DatagramStatistics()
    return UdpSender(fake, statistics, offload=offload), statistics


def counted(length: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in range(length // 2))


def test_a_socket_that_fills_half_way_goes_on_where_it_stopped() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.EAGAIN if attempt in (4, 5) else None)
    udp, statistics = sender(fake, offload=False)
    transmit = Transmit([counted(600), counted(400)], 100, None, PEER)
    assert not udp.send(transmit)
    assert not udp.send(transmit)
    assert udp.send(transmit)
    assert fake.whole() == counted(600) + counted(400)
    assert [len(payload) for payload, _ in fake.sent] == [100] * 10
    assert (statistics.sent_datagrams, statistics.sent_bytes, statistics.full) == (10, 1000, 2)


def test_a_full_socket_refuses_a_batch_whole() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.EAGAIN if attempt == 1 else None)
    udp, statistics = sender(fake)
    transmit = Transmit([counted(1000)], 100, None, PEER)
    assert not udp.send(transmit)
    assert udp.send(transmit)
    assert fake.sent == [(counted(1000), 100)]
    assert statistics.full == 1


def test_another_transmit_after_a_half_sent_one_starts_at_its_own_beginning() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.EAGAIN if attempt == 3 else None)
    udp, _ = sender(fake, offload=False)
    assert not udp.send(Transmit([counted(400)], 100, None, PEER))
    fake.sent.clear()
    assert udp.send(Transmit([counted(200)], 100, None, PEER))
    assert fake.whole() == counted(200)


def test_an_old_kernel_gets_at_most_64_segments_a_send() -> None:
    def verdict(attempt: int, length: int, segment: int) -> int | None:
        return errno.EINVAL if segment and length > 64 * segment else None

    fake = FakeSocket(verdict)
    udp, statistics = sender(fake)
    assert udp.send(Transmit([counted(15_000)], 100, None, PEER))
    assert [len(payload) for payload, _ in fake.sent] == [6400, 6400, 2200]
    assert all(segment == 100 for _, segment in fake.sent)
    assert (statistics.splits, statistics.fallbacks, statistics.sent_datagrams) == (1, 0, 150)


def test_a_device_without_offload_is_noticed_once() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.EIO if segment else None)
    udp, statistics = sender(fake)
    for _ in range(3):
        assert udp.send(Transmit([counted(400)], 200, None, PEER))
    assert fake.sent == [(counted(400)[:200], 0), (counted(400)[200:], 0)] * 3
    assert (statistics.fallbacks, udp.segment_limit, fake.attempts) == (1, 1, 7)


def test_segments_above_the_mtu_are_lost_and_do_not_cost_the_offload() -> None:
    def verdict(attempt: int, length: int, segment: int) -> int | None:
        if segment > 1472:
            return errno.EINVAL
        return errno.EMSGSIZE if not segment and length > 1472 else None

    fake = FakeSocket(verdict)
    udp, statistics = sender(fake)
    assert udp.send(Transmit([counted(8000)], 4000, None, PEER))
    assert (statistics.too_big, statistics.dropped, statistics.fallbacks) == (2, 2, 0)
    assert udp.send(Transmit([counted(2000)], 1000, None, PEER))
    assert fake.sent == [(counted(2000), 1000)]


def test_an_error_about_an_earlier_datagram_does_not_cost_this_one() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.ECONNREFUSED if attempt == 1 else None)
    fake.reports = [[(socket.IPPROTO_IP, 11, errno.ECONNREFUSED.to_bytes(4, "little") + b"\x02" + bytes(11))]]
    udp, statistics = sender(fake)
    assert udp.send(Transmit([counted(300)], 100, None, PEER))
    assert fake.sent == [(counted(300), 100)]
    assert (statistics.unreachable, statistics.dropped, udp.last_unreachable) == (1, 0, PEER)


def test_what_cannot_leave_at_all_is_dropped_and_counted() -> None:
    fake = FakeSocket(lambda attempt, length, segment: errno.ENETUNREACH)
    udp, statistics = sender(fake)
    assert udp.send(Transmit([counted(300)], 100, None, PEER))
    assert (statistics.dropped, statistics.sent_datagrams, statistics.too_big) == (3, 0, 0)


def test_a_probe_ignores_the_path_mtu_learnt_for_its_own_send_only() -> None:
    fake = FakeSocket(lambda attempt, length, segment: None)
    udp, _ = sender(fake)
    udp.send(Transmit([counted(100)], 0, None, PEER, is_probe=True))
    assert fake.path_mtu_modes == [3, 2]
