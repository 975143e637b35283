"""What a lost connection is to a person: one line, and what to do about it."""

from __future__ import annotations

from apps.errors import CommandError
from stacks.quic.errors import CRYPTO_ERROR, TransportErrorCode, code_name
from stacks.quic.events import ConnectionClosed


def connection_failure(where: str, closed: ConnectionClosed) -> CommandError:
    """where: host and port of the server."""
    code, reason = closed.code, f": {closed.reason}" if closed.reason else ""
    if closed.by_peer:
        who = f"application code {code:#x}" if closed.is_application else code_name(code)
        if not closed.is_application and code == CRYPTO_ERROR + ALERT_NO_PROTOCOL:
            return CommandError(f"{where} speaks no HTTP that we do{reason}", "try --alpn hq-interop or --alpn h3")
        if not closed.is_application and code == TransportErrorCode.CONNECTION_REFUSED:
            return CommandError(f"{where} takes no more connections{reason}", "try again later")
        if not closed.is_application and code == TransportErrorCode.NO_ERROR and not reason:
            return CommandError(f"{where} ended the connection before all was there", "try again")
        return CommandError(f"{where} ended the connection: {who}{reason}", "its log may say more")
    if CRYPTO_ERROR <= code < CRYPTO_ERROR + 0x100 and code - CRYPTO_ERROR in CERTIFICATE_ALERTS:
        return CommandError(
            f"{where}{reason or ': its certificate is not good'}",
            "--ca FILE names whom to trust, --insecure trusts anybody",
        )
    if code == TransportErrorCode.NO_ERROR:
        return CommandError(f"{where} is gone{reason}", "check that the server still runs, and the path to it")
    return CommandError(f"the connection to {where} failed, {code_name(code)}{reason}", "--qlog DIR records what came")


ALERT_NO_PROTOCOL = 120
CERTIFICATE_ALERTS = (42, 43, 44, 45, 46, 48)
