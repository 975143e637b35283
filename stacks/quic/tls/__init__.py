"""TLS 1.3 for QUIC: aioquic's handshake behind a seam of one file, and the rules that are QUIC's own.

In-order CRYPTO data goes into a `Tls` level by level; CRYPTO data, traffic secrets and session tickets come out.
`context` is the only module that knows aioquic. Ours around it: messages and their levels (`messages`), certificates
and their verification, transport parameters (`parameters`, `remembered`), tickets, resumption and the defence against
replay of 0-RTT (`tickets`, `resuming`, `replay`), key logs. The documents are RFC 9001 4, RFC 8446, RFC 9000 7.

Left out, since the library has none of it: HelloRetryRequest, several PSK identities in one ClientHello (a full
handshake follows), client authentication on servers, post-quantum key exchange.
"""

from stacks.quic.tls.certificates import Identity, load_identity, make_self_signed
from stacks.quic.tls.context import Secret
from stacks.quic.tls.parameters import check_parameters, check_versions_of_client, check_versions_of_server
from stacks.quic.tls.remembered import remembered
from stacks.quic.tls.replay import StrikeRegister
from stacks.quic.tls.settings import TlsSettings
from stacks.quic.tls.tickets import Ticket, TicketKeeper
from stacks.quic.tls.tls import Tls

__all__ = [
    "Identity",
    "Secret",
    "StrikeRegister",
    "Ticket",
    "TicketKeeper",
    "Tls",
    "TlsSettings",
    "check_parameters",
    "check_versions_of_client",
    "check_versions_of_server",
    "load_identity",
    "make_self_signed",
    "remembered",
]
