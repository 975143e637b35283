"""Transport parameters that no end may announce (RFC 9000 7.3, 7.4, 18.2; RFC 9221 3; ACK frequency 3; RFC 9368 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.connection import ConnectionState, making
from stacks.quic.connection.own_parameters import own_parameters
from stacks.quic.errors import TransportErrorCode as Code
from tests.stacks.quic.rig import SECOND_NS, Rig, client_configuration, server_configuration
from wire.quic.parameters import PreferredAddress, TransportParameters, VersionInformation
from wire.quic.varint import encode_varint

Change = Callable[[TransportParameters], None]
Rewrite = Callable[[bytes], bytes]


def raw(identifier: int, value: bytes) -> bytes:
    return encode_varint(identifier) + encode_varint(len(value)) + value


def integer(identifier: int, value: int) -> bytes:
    return raw(identifier, encode_varint(value))


def set_to(**values: object) -> Change:
    def change(parameters: TransportParameters) -> None:
        for name, value in values.items():
            setattr(parameters, name, value)

    return change


def add(more: bytes) -> Rewrite:
    return lambda encoded: encoded + more


PREFERRED = PreferredAddress(("192.0.2.1", 1), None, b"12345678", bytes(16))
BY_EITHER: dict[str, Change | Rewrite] = {
    "max_udp_payload_size of 1199": set_to(max_udp_payload_size=1199),
    "ack_delay_exponent of 21": set_to(ack_delay_exponent=21),
    "max_ack_delay of 2^14": set_to(max_ack_delay_ms=1 << 14),
    "active_connection_id_limit of 1": set_to(active_connection_id_limit=1),
    "more than 2^60 streams": set_to(initial_max_streams_bidi=(1 << 60) + 1),
    "more than 2^60 streams of one direction": set_to(initial_max_streams_uni=(1 << 60) + 1),
    "no initial_source_connection_id": set_to(initial_source_connection_id=None),
    "another initial_source_connection_id": set_to(initial_source_connection_id=b"another!"),
    "min_ack_delay above max_ack_delay": set_to(min_ack_delay_us=26_000),
    "a parameter twice": lambda encoded: encoded + integer(0x01, 5) + integer(0x01, 5),
    "an unknown parameter twice": add(raw(0x7F00, b"a") + raw(0x7F00, b"b")),
    "an integer with something behind it": lambda _: raw(0x0F, b"x") + raw(0x04, b"\x05\x05"),
    "one that is cut off": add(b"\x40"),
    "a length beyond the end": add(b"\x40\x99\x40\xff"),
    "a flag with a value": add(raw(0x0C, b"x")),
    "version 0 among the versions": set_to(version_information=VersionInformation(1, (1, 0))),
}
BY_CLIENT: dict[str, Change | Rewrite] = {
    "a chosen version that is not among a client's versions": set_to(version_information=VersionInformation(1, (2,))),
    "a client's original_destination_connection_id": add(raw(0x00, b"12345678")),
    "a client's stateless_reset_token": set_to(stateless_reset_token=bytes(16)),
    "a client's preferred_address": set_to(preferred_address=PREFERRED),
    "a client's retry_source_connection_id": add(raw(0x10, b"12345678")),
}
BY_SERVER: dict[str, Change | Rewrite] = {
    "a reset token of 15 bytes": lambda encoded: _without_token(encoded) + raw(0x02, bytes(15)),
    "retry_source_connection_id without a Retry": add(raw(0x10, b"12345678")),
    "a preferred address without a connection ID": set_to(
        preferred_address=PreferredAddress(("192.0.2.1", 1), None, b"", bytes(16))
    ),
    "no original_destination_connection_id": set_to(original_destination_connection_id=None),
    "another original_destination_connection_id": set_to(original_destination_connection_id=b"another!"),
}


def _without_token(encoded: bytes) -> bytes:
    parameters = TransportParameters.decode(encoded)
    parameters.stateless_reset_token = None
    return parameters.encode()


@pytest.mark.parametrize(
    ("rogue", "name"),
    [("client", name) for name in (*BY_EITHER, *BY_CLIENT)] + [("server", name) for name in (*BY_EITHER, *BY_SERVER)],
    ids=lambda value: value.replace(" ", "-"),
)
def test_parameters_that_are_wrong_end_the_handshake(rogue: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change = {**BY_EITHER, **BY_CLIENT, **BY_SERVER}[name]
    rig = rig_with(rogue, change, monkeypatch)
    client = rig.connect()
    rig.run(SECOND_NS)
    server = rig.server.poll_accepted()
    assert server is not None
    victim, peer = (server, client) if rogue == "client" else (client, server)
    assert victim.close_reason is not None
    assert not victim.close_reason.by_peer
    assert victim.close_reason.code == Code.TRANSPORT_PARAMETER_ERROR
    assert peer.close_reason is not None
    assert (peer.close_reason.code, peer.close_reason.by_peer) == (Code.TRANSPORT_PARAMETER_ERROR, True)


@pytest.mark.parametrize("rogue", ["client", "server"])
@pytest.mark.parametrize(
    "change",
    [add(raw(0x7F00, b"what?") + raw(31 * 77 + 27, b"")), set_to(max_idle_timeout_ms=1 << 40), lambda encoded: encoded],
    ids=["unknown", "long idle", "none"],
)
def test_what_is_allowed_or_unknown_does_not(
    rogue: str, change: Change | Rewrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rig_with(rogue, change, monkeypatch)
    client, server = rig.establish()
    assert client.state == server.state == ConnectionState.CONFIRMED


def rig_with(rogue: str, change: Change | Rewrite, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig in which one end announces something else than it should."""
    # The grease of the honest end might be the parameter that a test adds.
    client, server = client_configuration(grease=False), server_configuration(grease=False)
    lying = client if rogue == "client" else server

    def announce(configuration: Configuration, **options: Any) -> TransportParameters:
        honest = own_parameters(configuration, **options)
        return _Lie.of(honest, change) if configuration is lying else honest

    monkeypatch.setattr(making, "own_parameters", announce)
    return Rig(client=client, server=server)


class _Lie(TransportParameters):
    change: Change | Rewrite

    @classmethod
    def of(cls, honest: TransportParameters, change: Change | Rewrite) -> _Lie:
        """The same parameters, changed when they are encoded, as a server adds to them before that."""
        lie = cls(**{field.name: getattr(honest, field.name) for field in dataclasses.fields(honest)})
        lie.change = change
        return lie

    def encode(self) -> bytes:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(TransportParameters)}
        changed = TransportParameters(**values)
        if self.change.__qualname__.startswith("set_to"):
            self.change(changed)  # type: ignore[arg-type]
            return changed.encode()
        return self.change(changed.encode())  # type: ignore[arg-type,return-value]
