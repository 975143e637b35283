"""The opcode table against the layout of every packet, written out here a second time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.roce import OPCODES, Bth, Opcode, Operation, Position, Transport, parse_packet

REQUESTS = {
    "SEND_FIRST": "", "SEND_MIDDLE": "", "SEND_LAST": "", "SEND_LAST_IMM": "ImmDt", "SEND_ONLY": "",
    "SEND_ONLY_IMM": "ImmDt", "WRITE_FIRST": "Reth", "WRITE_MIDDLE": "", "WRITE_LAST": "", "WRITE_LAST_IMM": "ImmDt",
    "WRITE_ONLY": "Reth", "WRITE_ONLY_IMM": "Reth ImmDt", "READ_REQUEST": "Reth", "COMPARE_SWAP": "AtomicEth",
    "FETCH_ADD": "AtomicEth", "SEND_LAST_INV": "Ieth", "SEND_ONLY_INV": "Ieth", "FLUSH": "Feth Reth",
    "ATOMIC_WRITE": "Reth",
}  # fmt: skip
RESPONSES = {
    "READ_RESPONSE_FIRST": "Aeth", "READ_RESPONSE_MIDDLE": "", "READ_RESPONSE_LAST": "Aeth",
    "READ_RESPONSE_ONLY": "Aeth", "ACKNOWLEDGE": "Aeth", "ATOMIC_ACKNOWLEDGE": "Aeth AtomicAckEth",
}  # fmt: skip
SIZES = {
    "Deth": 8, "Reth": 16, "AtomicEth": 28, "Aeth": 4, "AtomicAckEth": 8, "ImmDt": 4, "Ieth": 4, "XrcEth": 4, "Feth": 4,
}  # fmt: skip

each_opcode = pytest.mark.parametrize("opcode", list(Opcode), ids=lambda opcode: opcode.name)


def test_each_transport_has_as_many_opcodes_as_the_standard_gives_it() -> None:
    counts = {
        transport: sum(info is not None and info.transport is transport for info in OPCODES) for transport in Transport
    }
    assert counts == {Transport.RC: 25, Transport.UC: 12, Transport.UD: 2, Transport.XRC: 23, Transport.CNP: 1}


@each_opcode
def test_headers_follow_in_the_order_of_the_standard(opcode: Opcode) -> None:
    info = OPCODES[opcode]
    assert info is not None
    assert info.opcode is opcode
    transport, _, operation = opcode.name.partition("_")
    expected = {**REQUESTS, **RESPONSES, "": ""}[operation].split()
    if transport == "UD":
        expected.insert(0, "Deth")
    if transport == "XRC" and operation in REQUESTS:
        expected.insert(0, "XrcEth")
    assert [header.__name__ for header in info.headers] == expected
    assert info.headers_bytes == 12 + sum(SIZES[name] for name in expected)
    assert info.transport.name == transport
    assert info.is_request == (operation in REQUESTS)
    assert (info.has_imm, info.has_invalidate) == (operation.endswith("IMM"), operation.endswith("INV"))


@each_opcode
def test_operation_and_position_say_what_the_name_says(opcode: Opcode) -> None:
    info = OPCODES[opcode]
    assert info is not None
    words = set(opcode.name.split("_"))
    named = {Position[word] for word in words & {"FIRST", "MIDDLE", "LAST", "ONLY"}} or {Position.ONLY}
    assert {info.position} == named
    assert info.operation.name in opcode.name
    has_data = words & {"SEND", "RESPONSE", "CNP"} or ("WRITE" in words)
    assert info.has_payload == bool(has_data)


def test_operations_are_all_used() -> None:
    assert {info.operation for info in OPCODES if info} == set(Operation)


@given(opcode=st.sampled_from(Opcode), content=st.binary(min_size=60, max_size=90))
def test_any_packet_of_a_known_opcode_is_encoded_to_the_same_bytes_but_reserved_ones(
    opcode: Opcode, content: bytes
) -> None:
    first = parse_packet(bytes([opcode]) + content)
    again = first.encode()
    assert len(again) == 1 + len(content)
    second = parse_packet(again)
    assert second.encode() == again
    assert (first.bth, first.payload, first.padding, first.icrc, first.headers) == (
        second.bth, second.payload, second.padding, second.icrc, second.headers,
    )  # fmt: skip


def test_unknown_opcodes_are_a_wire_error() -> None:
    known = set(Opcode)
    for number in set(range(256)) - known:
        with pytest.raises(WireError) as caught:
            parse_packet(bytes([number]) + bytes(60))
        assert caught.value.field == "opcode"


@given(content=st.binary(max_size=80))
def test_random_bytes_parse_or_are_a_wire_error(content: bytes) -> None:
    try:
        packet = parse_packet(content)
    except WireError:
        return
    assert len(packet.encode()) == len(content)


def test_padding_that_reaches_into_the_headers_is_a_wire_error() -> None:
    ack = Bth(opcode=Opcode.RC_ACKNOWLEDGE, pad_count=1).encode() + bytes(4) + bytes(4)
    with pytest.raises(WireError, match="padding or ICRC"):
        parse_packet(ack)
