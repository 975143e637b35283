"""Which HTTP an ALPN name means."""

from __future__ import annotations

from stacks.quic.http3.core import HttpConnection, HttpCore
from stacks.quic.http3.http09 import Http09
from stacks.quic.http3.http3 import Http3
from stacks.runtime.errors import LocalError

ALPN_HTTP3 = "h3"
ALPN_HTTP09 = "hq-interop"


def http_core(alpn: str, connection: HttpConnection) -> HttpCore:
    """The HTTP of a connection whose ALPN was negotiated; LocalError for another protocol."""
    if alpn == ALPN_HTTP3:
        return Http3(connection)
    if alpn == ALPN_HTTP09:
        return Http09(connection)
    raise LocalError(f"{alpn or 'no protocol'} is not HTTP: {ALPN_HTTP3} and {ALPN_HTTP09} are spoken")
