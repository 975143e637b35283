"""BBR version 1 as Linux has it (net/ipv4/tcp_bbr.c, mainline 6.x), in its words, its order and its fixed point.

    bandwidth      the model: the largest delivery rate of 10 rounds
    policer        the long-term rate where a token bucket drops ("lt")
    aggregation    how much more than expected acknowledgements bring at once
    probe_bw       PROBE_BW: the gain cycle 5/4, 3/4, 6 x 1
    startup        STARTUP and DRAIN: is the pipe full, is the queue gone
    min_rtt        the smallest round trip of 10 s, and PROBE_RTT
    window         what follows from the model: pacing rate, burst, cwnd, and recovery
    minmax         the filter of three samples (lib/win_minmax.c)

Each file is functions on `Bbr1`, which holds the variables of `struct bbr` and calls them in the kernel's order. Gains
are in units of 1/256, bandwidth is packets per microsecond in units of 2^-24, windows are packets, times microseconds
where the kernel's are; a packet is the flow's full one.

What differs, since it is not the kernel: time is exact where the kernel counts jiffies; an acknowledgement never counts
as delayed, since what the receiver waited is known and taken off; rates are not capped by a socket option; and the
bandwidth of a sample is computed from bytes, which is the same for full packets. Linux's recovery lasts until every
hole is filled, and where losses go on it enters the next without a break and without another round of packet
conservation; a stack of packet numbers ends one after a round (RFC 9002 7.3.2), whatever was lost meanwhile. So here
recovery lasts until a round is without loss, which is the same where losses are rare.
"""

from stacks.congestion.bbr1.controller import Bbr1

__all__ = ["Bbr1"]
