"""Lines of a key log, with which Wireshark decrypts (NSS key log format, RFC 9850; what SSLKEYLOGFILE names)."""

from __future__ import annotations

from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_ONE_RTT, LEVEL_ZERO_RTT


def key_log_line(client_random: bytes, secret: bytes, *, level: int, is_client: bool) -> str:
    """One line without its end. is_client: whether it is the client that sends with this secret."""
    return f"{LABELS[level, is_client]} {client_random.hex()} {secret.hex()}"


LABELS = {
    (LEVEL_ZERO_RTT, True): "CLIENT_EARLY_TRAFFIC_SECRET",
    (LEVEL_HANDSHAKE, True): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    (LEVEL_HANDSHAKE, False): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    (LEVEL_ONE_RTT, True): "CLIENT_TRAFFIC_SECRET_0",
    (LEVEL_ONE_RTT, False): "SERVER_TRAFFIC_SECRET_0",
}
