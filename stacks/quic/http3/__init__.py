"""HTTP over a QUIC connection: HTTP/3 by aioquic's H3Connection, and HTTP/0.9 as interoperability tests have it.

Both are cores on a connection, behind one face (`HttpCore`): what QUIC tells of streams goes in, what HTTP makes of it
comes out of `poll_event`, and requests, responses and bodies go straight into the connection's streams. What is not
polled is not read, so that flow control holds a peer back whose data nobody takes.

`surface` is what aioquic's H3Connection takes for a QUIC connection: the one module that knows `aioquic.h3`, `http3`
beside it, and tests/stacks/quic/http3/test_aioquic_h3.py lists what they use. The documents are RFC 9114, RFC 9204 and
RFC 9218. Left out: server push (promises are ignored), CONNECT, WebTransport, datagrams of HTTP.
"""

from stacks.quic.http3.core import BodyReceived, HttpCore, HttpEvent, RequestReceived, ResponseReceived, StreamAborted
from stacks.quic.http3.http09 import Http09
from stacks.quic.http3.http3 import Http3
from stacks.quic.http3.protocols import ALPN_HTTP09, ALPN_HTTP3, http_core

__all__ = [
    "ALPN_HTTP09",
    "ALPN_HTTP3",
    "BodyReceived",
    "Http09",
    "Http3",
    "HttpCore",
    "HttpEvent",
    "RequestReceived",
    "ResponseReceived",
    "StreamAborted",
    "http_core",
]
