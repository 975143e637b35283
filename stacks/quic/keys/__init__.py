"""Packet protection: secrets to keys, packets sealed and opened in place in bursts, key updates (RFC 9001).

    secret -> Sealer.seal(buffer, packets)      header, payload -> protected, in place
           -> Opener.open_burst(buffer, ...)    protected -> number, first byte, payload, in place
    OneRttKeys: both for 1-RTT packets, with key phases and limits
"""

from stacks.quic.keys.opener import Opened, Opener
from stacks.quic.keys.packet_views import PacketViews
from stacks.quic.keys.phases import OneRttKeys
from stacks.quic.keys.sealer import PacketPlace, Sealer
from stacks.quic.keys.secrets import INITIAL_SUITE, initial_secrets, next_secret, packet_keys, retry_tag
from stacks.quic.keys.suites import SUITES, Suite

__all__ = [
    "SUITES",
    "OneRttKeys",
    "Opened",
    "Opener",
    "PacketPlace",
    "PacketViews",
    "Sealer",
    "Suite",
    "initial_keys",
    "initial_secrets",
    "next_secret",
    "packet_keys",
    "retry_tag",
]


def initial_keys(version: int, destination_cid: bytes, *, is_client: bool) -> tuple[Sealer, Opener]:
    """Keys of Initial packets for one end, from the client's Destination Connection ID."""
    client, server = initial_secrets(version, destination_cid)
    sending, receiving = (client, server) if is_client else (server, client)
    return Sealer(INITIAL_SUITE, sending, version), Opener(INITIAL_SUITE, receiving, version)
