"""What the kernel tells of a TCP connection: TCP_INFO, and its congestion control's own TCP_CC_INFO.

Neither needs a privilege. Everything is in the machine's byte order. Follows <linux/tcp.h> (struct tcp_info),
<linux/inet_diag.h> (struct tcp_bbr_info), tcp(7).
"""

from __future__ import annotations

import errno
import os
import socket

from transports.errors import TransportError


class TcpInfo:
    """One reading. Durations in nanoseconds, windows in segments of `mss_bytes`, rates in bits a second.

    ca_state: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss. rtt_ns: smoothed; min_rtt_ns: 0 before the first sample.
    cwnd, ssthresh; unacked, sacked, lost, retransmitted: segments now; retransmitted_ever, data_segments_out: ever.
    pacing_rate_bps: 0 for none. acked_bytes: ever. delivered, delivered_ce: segments ever. delivery_rate_bps: the
    newest sample.
    """

    __slots__ = (
        "acked_bytes", "ca_state", "cwnd", "data_segments_out", "delivered", "delivered_ce", "delivery_rate_bps",
        "lost", "min_rtt_ns", "mss_bytes", "pacing_rate_bps", "retransmitted", "retransmitted_ever", "rtt_ns", "sacked",
        "ssthresh", "unacked",
    )  # fmt: skip

    def __init__(self, data: bytes) -> None:
        """data: what the kernel returned; TransportError when it is shorter than Linux 4.18's."""
        if len(data) < INFO_BYTES:
            raise TransportError(f"TCP_INFO has {len(data)} bytes here, and {INFO_BYTES} are needed (Linux 4.18)")
        words = memoryview(data)[:INFO_BYTES].cast("I")
        longs = memoryview(data)[:INFO_BYTES].cast("Q")
        self.ca_state = data[1]
        self.mss_bytes = words[4]
        self.unacked = words[6]
        self.sacked = words[7]
        self.lost = words[8]
        self.retransmitted = words[9]
        self.rtt_ns = words[17] * 1000
        self.ssthresh = words[19]
        self.cwnd = words[20]
        self.retransmitted_ever = words[25]
        self.pacing_rate_bps = 0 if longs[13] >= UNLIMITED else longs[13] * 8
        self.acked_bytes = longs[15]
        self.data_segments_out = words[39]
        self.min_rtt_ns = 0 if words[37] == NO_RTT else words[37] * 1000
        self.delivery_rate_bps = longs[20] * 8
        self.delivered = words[48]
        self.delivered_ce = words[49]


class BbrInfo:
    """What BBRv1 tells: bw_bps in bits a second, payload bytes only; min_rtt_ns; gains in 256ths."""

    __slots__ = ("bw_bps", "cwnd_gain", "min_rtt_ns", "pacing_gain")

    def __init__(self, data: bytes) -> None:
        low, high, min_rtt_us, self.pacing_gain, self.cwnd_gain = memoryview(data)[:BBR_BYTES].cast("I")
        self.bw_bps = (high << 32 | low) * 8
        self.min_rtt_ns = min_rtt_us * 1000

    @property
    def mode(self) -> str:
        """The phase that the gains tell of: startup, drain, probe_bw or probe_rtt."""
        gains = self.pacing_gain, self.cwnd_gain
        if gains == (HIGH_GAIN, HIGH_GAIN):
            return "startup"
        if gains == (DRAIN_GAIN, HIGH_GAIN):
            return "drain"
        return "probe_rtt" if self.cwnd_gain == UNIT else "probe_bw"


def tcp_info(opened: socket.socket) -> TcpInfo:
    """A reading of a TCP socket. OSError as of getsockopt."""
    return TcpInfo(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))


def bbr_info(opened: socket.socket) -> BbrInfo | None:
    """The same of its BBR; None for another congestion control. OSError as of getsockopt."""
    data = opened.getsockopt(socket.IPPROTO_TCP, TCP_CC_INFO, 64)
    return BbrInfo(data) if len(data) >= BBR_BYTES else None


def set_congestion(opened: socket.socket, name: str) -> None:
    """Choose a kernel's congestion control. TransportError when this kernel or user has none of that name."""
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EPERM):
            raise
        reason = "not in this kernel" if error.errno == errno.ENOENT else "not allowed to this user"
        raise TransportError(
            f"congestion control {name} is {reason} (sysctl net.ipv4.tcp_available_congestion_control)",
            errno=error.errno,
        ) from error


def kernel_release() -> str:
    """Of which kernel what is read here tells."""
    return os.uname().release


TCP_CC_INFO = 26
INFO_BYTES, BBR_BYTES = 200, 20
UNIT = 256
HIGH_GAIN, DRAIN_GAIN = 739, 88
"""2885/1000 and 1000/2885 of 256, as net/ipv4/tcp_bbr.c computes them."""
UNLIMITED, NO_RTT = (1 << 64) - 1, (1 << 32) - 1
