"""What the kernel tells of a TCP connection, read from a connection of this process and from bytes laid out by hand."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from transports.errors import TransportError
from transports.tcp_info import BbrInfo, TcpInfo, bbr_info, set_congestion, tcp_info


def field(data: bytearray, offset: int, length: int, value: int) -> None:
    data[offset : offset + length] = value.to_bytes(length, sys.byteorder)


def test_fields_are_read_at_their_places_in_struct_tcp_info() -> None:
    data = bytearray(232)
    data[1] = 3
    # Offsets of struct tcp_info in <linux/tcp.h>.
    for offset, length, value in (
        (16, 4, 1448), (24, 4, 7), (28, 4, 3), (32, 4, 2), (36, 4, 1), (68, 4, 40_000), (76, 4, 33), (80, 4, 44),
        (100, 4, 9), (104, 8, 2_500_000), (120, 8, 123_456), (148, 4, 39_000), (156, 4, 99), (160, 8, 1_250_000),
        (192, 4, 88), (196, 4, 5),
    ):  # fmt: skip
        field(data, offset, length, value)
    info = TcpInfo(bytes(data))
    assert {name: getattr(info, name) for name in info.__slots__} == {
        "acked_bytes": 123_456,
        "ca_state": 3,
        "cwnd": 44,
        "data_segments_out": 99,
        "delivered": 88,
        "delivered_ce": 5,
        "delivery_rate_bps": 10_000_000,
        "lost": 2,
        "min_rtt_ns": 39_000_000,
        "mss_bytes": 1448,
        "pacing_rate_bps": 20_000_000,
        "retransmitted": 1,
        "retransmitted_ever": 9,
        "rtt_ns": 40_000_000,
        "sacked": 3,
        "ssthresh": 33,
        "unacked": 7,
    }


def test_no_pacing_and_no_round_trip_yet_are_zero() -> None:
    data = bytearray(200)
    field(data, 104, 8, (1 << 64) - 1)
    field(data, 148, 4, (1 << 32) - 1)
    info = TcpInfo(bytes(data))
    assert (info.pacing_rate_bps, info.min_rtt_ns) == (0, 0)


def test_a_kernel_that_tells_less_is_refused() -> None:
    with pytest.raises(TransportError, match="104 bytes"):
        TcpInfo(bytes(104))


@pytest.mark.parametrize(
    ("gains", "mode"),
    [
        ((739, 739), "startup"),
        ((88, 739), "drain"),
        ((320, 512), "probe_bw"),
        ((192, 512), "probe_bw"),
        ((256, 512), "probe_bw"),
        ((256, 256), "probe_rtt"),
    ],
)
def test_bbr_tells_its_bandwidth_in_two_halves_and_its_mode_by_gains(gains: tuple[int, int], mode: str) -> None:
    data = b"".join(word.to_bytes(4, sys.byteorder) for word in (5, 1, 40_000, *gains))
    info = BbrInfo(data)
    assert (info.bw_bps, info.min_rtt_ns, info.mode) == (((1 << 32) + 5) * 8, 40_000_000, mode)


def test_a_connection_of_this_machine_tells_what_it_has_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            set_congestion(near, "reno")
            near.sendall(bytes(50_000))
            left = 50_000
            while left:
                left -= len(far.recv(left))
            near.sendall(b"x")
            far.recv(1)
            info = tcp_info(near)
            assert info.mss_bytes > 500
            assert info.cwnd >= 1
            assert info.acked_bytes >= 50_000
            assert bbr_info(near) is None


@pytest.mark.skipif(
    "bbr" not in Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split(),
    reason="this kernel has no bbr for everybody",
)
def test_bbr_of_this_machine_tells_its_gains() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as near:
        set_congestion(near, "bbr")
        near.connect(server.getsockname())
        far, _ = server.accept()
        with far:
            # Its gains are those of Startup from the first acknowledgement on.
            near.sendall(b"x")
            far.recv(1)
            deadline = time.monotonic() + 5
            while (info := bbr_info(near)) is not None and info.mode != "startup" and time.monotonic() < deadline:
                near.sendall(b"x")
                far.recv(1)
        assert info is not None
        assert (info.pacing_gain, info.cwnd_gain, info.mode) == (739, 739, "startup")


def test_a_congestion_control_that_is_not_there_is_named() -> None:
    with socket.socket() as near, pytest.raises(TransportError, match="nonesuch is not"):
        set_congestion(near, "nonesuch")
