"""aioquic's context as a peer that we did not write."""

from __future__ import annotations

from aioquic import tls
from aioquic.buffer import Buffer

from stacks.quic.tls import load_identity
from tests.stacks.quic.tls.rig import NAME, certificate

LEVELS = {tls.Epoch.INITIAL: 0, tls.Epoch.HANDSHAKE: 2, tls.Epoch.ONE_RTT: 3}


class BarePeer:
    """A context, and the bytes that it writes for what it is given."""

    def __init__(self, context: tls.Context, extensions: list[tuple[int, bytes]]) -> None:
        self.context = context
        self.secrets: list[tuple[bool, int, bytes]] = []
        context.handshake_extensions = extensions
        context.update_traffic_key_cb = lambda way, epoch, _suite, secret: self.secrets.append(
            (way is tls.Direction.ENCRYPT, epoch.value, secret)
        )

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        buffers = {epoch: Buffer(capacity=16_384) for epoch in LEVELS}
        self.context.handle_message(data, buffers)
        return [(LEVELS[epoch], buffer.data) for epoch, buffer in buffers.items() if buffer.data]


class BareServer(BarePeer):
    def __init__(
        self, *, extensions: list[tuple[int, bytes]], tickets: dict[bytes, tls.SessionTicket] | None = None
    ) -> None:
        context = tls.Context(False, alpn_protocols=["h3"], max_early_data=0xFFFFFFFF)
        identity = load_identity(*certificate())
        context.certificate, context.certificate_private_key = identity.certificate, identity.private_key
        if tickets is not None:
            context.new_session_ticket_cb = lambda ticket: tickets.update({ticket.ticket: ticket})
            context.get_session_ticket_cb = tickets.get
        super().__init__(context, extensions)


class BareClient(BarePeer):
    def __init__(self, *, extensions: list[tuple[int, bytes]], ticket: tls.SessionTicket | None = None) -> None:
        self.tickets: list[tls.SessionTicket] = []
        context = tls.Context(True, alpn_protocols=["h3"], server_name=NAME, verify_mode=0)
        context.session_ticket = ticket
        context.new_session_ticket_cb = self.tickets.append
        super().__init__(context, extensions)
