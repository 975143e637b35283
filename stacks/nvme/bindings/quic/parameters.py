"""What both ends of NVMe over QUIC agree on, and how their QUIC connections are made."""

from __future__ import annotations

import random
from dataclasses import replace

from stacks.quic.configuration import Configuration
from stacks.quic.tls import make_self_signed

NVME_QUIC_PORT = 4420
"""UDP. Nothing is assigned; a RoCEv2 target uses another UDP port (4791), so both fit beside each other."""
ALPN = "nvme-tcp-pdus/x0"
"""Names the experiment: x0 is the first form of it."""

CODE_CLOSED, CODE_REFUSED, CODE_ABORTED = 0, 1, 2
"""Application error codes of streams and connections: an end in order, too many queues, and given up."""


def initiator_configuration(base: Configuration | None = None) -> Configuration:
    """Of an initiator's connections. base: of whoever wants something else, such as a controller or trusted roots.

    By default the target's certificate is not verified: as over TCP and RDMA, hosts trust the address.
    """
    if base is None:
        base = Configuration(is_verifying=False, server_name=NAME)
    return replace(base, alpn=(ALPN,), max_streams_bidi=0, max_streams_uni=0, max_datagram_frame_bytes=0)


def target_configuration(
    base: Configuration | None = None, *, rng: random.Random, unix_ns: int, streams_max: int
) -> Configuration:
    """Of a target's connections; with a certificate of its own where `base` has none.

    unix_ns: the time, for the certificate. streams_max: queues that one connection may have.
    """
    base = base or Configuration()
    if not base.certificate_chain:
        chain, key = make_self_signed([NAME], rng, unix_ns=unix_ns)
        base = replace(base, certificate_chain=chain, private_key=key)
    return replace(base, alpn=(ALPN,), max_streams_bidi=streams_max, max_streams_uni=0, max_datagram_frame_bytes=0)


NAME = "nvme.invalid"
