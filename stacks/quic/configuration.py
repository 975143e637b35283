"""What an end of a connection is told before it starts: a frozen value, the same for any number of connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stacks.congestion import ControllerFactory
from stacks.congestion.path_memory import PathMemory
from stacks.quic.controllers import quic_controller
from transports.datagram import Address

VERSION_1 = 0x00000001
VERSION_2 = 0x6B3343CF
PACED_CUBIC = quic_controller("cubic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Limits in bytes, counts, and times in integer nanoseconds; RFC 9000 18.2 where the names are its own.

    alpn: protocols, the preferred first. versions: that are spoken, the preferred first; a client begins with
    `initial_version`. controller: of congestion (`stacks.quic.controllers.quic_controller` finds one by name).
    connection_window_bytes, stream_window_bytes: of flow control, as initially announced and as kept open beyond what
    the application has read. max_datagram_frame_bytes: RFC 9221, 0 for no datagrams. min_ack_delay_ns: ACK frequency,
    0 not to offer it. ack_every: ack-eliciting packets that are acknowledged together. has_ecn: whether packets carry
    ECT(0), or what the controller says, and are validated (13.4). grease: RFC 9287 and reserved values.
    initial_datagram_bytes: UDP payload until path MTU discovery finds more; max_probe_bytes: the most that it tries.
    preferred_addresses: of a server, to which clients go when the handshake is over: one of IPv4, one of IPv6 at most.
    crypto_buffer_bytes: CRYPTO data held out of order. key_update_packets: 1-RTT packets after which keys change, 0 for
    at the limit of the cipher alone. cipher_suites: numbers of RFC 8446 B.4 in order, empty for the library's.
    shortcuts: take runs of equal packets together where they come so; without, each goes every step of its own.
    path_memory: what paths carried before, by remote host, for careful resume (RFC 9959); shared by connections, None
    to begin each as if nothing were known.
    unix_epoch_ns: Unix time when `now` was 0: dates of certificates and ages of tickets are judged by it.
    """

    alpn: tuple[str, ...] = ()
    versions: tuple[int, ...] = (VERSION_1, VERSION_2)
    initial_version: int = VERSION_1
    controller: ControllerFactory = PACED_CUBIC
    max_idle_timeout_ns: int = 30_000_000_000
    connection_window_bytes: int = 8 << 20
    stream_window_bytes: int = 4 << 20
    max_streams_bidi: int = 128
    max_streams_uni: int = 128
    max_ack_delay_ns: int = 25_000_000
    ack_delay_exponent: int = 3
    ack_every: int = 2
    min_ack_delay_ns: int = 1_000_000
    max_datagram_frame_bytes: int = 65_535
    active_connection_id_limit: int = 8
    disable_active_migration: bool = False
    preferred_addresses: tuple[Address, ...] = ()
    connection_id_bytes: int = 8
    has_ecn: bool = True
    grease: bool = True
    initial_datagram_bytes: int = 1200
    max_probe_bytes: int = 1452
    crypto_buffer_bytes: int = 64 << 10
    key_update_packets: int = 0
    cipher_suites: tuple[int, ...] = ()
    server_name: str = ""
    trusted_certificates: bytes | None = None
    is_verifying: bool = True
    certificate_chain: bytes = b""
    private_key: bytes = field(default=b"", repr=False)
    is_retrying: bool = False
    has_early_data: bool = True
    shortcuts: bool = True
    path_memory: PathMemory | None = field(default=None, repr=False)
    unix_epoch_ns: int = 0
    key_log: Callable[[str], None] | None = field(default=None, repr=False)
