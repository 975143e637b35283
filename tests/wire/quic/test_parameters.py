"""Transport parameters against their definition: any values, random bytes, truncations, and what does not fit."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_address
from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.quic.bodies import varints
from wire.errors import WireError
from wire.quic.definition import PARAMETERS as DEFINITION
from wire.quic.definition import PREFERRED_ADDRESS, VARINT, VERSION_INFORMATION
from wire.quic.parameters import PARAMETERS, PreferredAddress, TransportParameters, VersionInformation

tokens = st.binary(min_size=16, max_size=16)
cids = st.binary(max_size=20)
version_numbers = st.integers(1, (1 << 32) - 1)
ports = st.integers(1, 0xFFFF)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "integer": varints,
    "token": tokens,
    "cid": cids,
    "flag": st.just(value=True),
    "versions": st.builds(VersionInformation, version_numbers, st.lists(version_numbers, max_size=4).map(tuple)),
    "preferred": st.builds(
        PreferredAddress,
        st.none() | st.tuples(st.ip_addresses(v=4).map(str), ports),
        st.none() | st.tuples(st.sampled_from(["::1", "2001:db8::7", "::ffff:192.0.2.1"]), ports),
        cids,
        tokens,
    ),
}
DEFAULTS = TransportParameters()


def built(values: dict[int, bytes]) -> bytes:
    """As the definition writes them."""
    raw: bytes = DEFINITION.build([{"identifier": identifier, "value": value} for identifier, value in values.items()])
    return raw


@st.composite
def parameters(draw: st.DrawFn) -> TransportParameters:
    chosen = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), max_size=8, unique=True))
    values = {PARAMETERS[each][0]: draw(KINDS[PARAMETERS[each][1]]) for each in chosen}
    identifiers = st.integers(0, 1000).map(lambda n: 31 * n + 27)
    reserved = draw(st.dictionaries(identifiers, st.binary(max_size=70), max_size=2))
    return TransportParameters(unknown=reserved, **values)


@given(wanted=parameters())
def test_decoding_undoes_encoding_which_the_definition_reads(wanted: TransportParameters) -> None:
    raw = wanted.encode()
    for buffer in (raw, bytearray(raw), memoryview(raw)):
        assert TransportParameters.decode(buffer) == wanted
    found = DEFINITION.parse(raw)
    identifiers = [each.identifier for each in found]
    assert identifiers == sorted(set(identifiers))
    assert built({each.identifier: each.value for each in found}) == raw
    for each in found:
        name, kind = PARAMETERS.get(each.identifier, ("", ""))
        if not name:
            assert each.value == wanted.unknown[each.identifier]
            continue
        value = getattr(wanted, name)
        assert value != getattr(DEFAULTS, name)
        assert each.value == as_defined(kind, value)
    assert {PARAMETERS[each][0] for each in identifiers if each in PARAMETERS} == {
        field.name for field in fields(wanted)
        if field.name != "unknown" and getattr(wanted, field.name) != getattr(DEFAULTS, field.name)
    }  # fmt: skip


def as_defined(kind: str, value: Any) -> bytes:
    if kind == "integer":
        raw: bytes = VARINT.build(value)
    elif kind == "versions":
        raw = VERSION_INFORMATION.build({"chosen": value.chosen, "available": value.available})
    elif kind == "preferred":
        parsed = PREFERRED_ADDRESS.parse(TransportParameters(preferred_address=value).encode()[2:])
        for endpoint, address, port in (
            (value.ipv4, parsed.ipv4, parsed.ipv4_port), (value.ipv6, parsed.ipv6, parsed.ipv6_port)
        ):  # fmt: skip
            written = (bytes(len(address)), 0) if endpoint is None else (ip_address(endpoint[0]).packed, endpoint[1])
            assert (address, port) == written
        assert (parsed.connection_id, parsed.stateless_reset_token) == (
            value.connection_id, value.stateless_reset_token,
        )  # fmt: skip
        raw = PREFERRED_ADDRESS.build(parsed)
    else:
        raw = b"" if kind == "flag" else value
    return raw


@settings(max_examples=200)
@given(raw=st.binary(max_size=60) | st.lists(
    st.tuples(st.sampled_from(sorted(PARAMETERS)), st.binary(max_size=45)), max_size=3
).map(lambda pairs: b"".join(built({identifier: value}) for identifier, value in pairs)))  # fmt: skip
def test_random_bytes_are_read_as_the_definition_does_or_are_a_wire_error(raw: bytes) -> None:
    try:
        expected = DEFINITION.parse(raw)
    except ConstructError:
        with pytest.raises(WireError):
            TransportParameters.decode(raw)
        return
    identifiers = [each.identifier for each in expected]
    values = {each.identifier: each.value for each in expected}
    wrong = [each for each, value in values.items() if each in PARAMETERS and not _fits(PARAMETERS[each][1], value)]
    if wrong or len(set(identifiers)) < len(identifiers):
        with pytest.raises(WireError):
            TransportParameters.decode(raw)
        return
    found = TransportParameters.decode(raw)
    assert found.unknown == {each: value for each, value in values.items() if each not in PARAMETERS}
    for identifier, (name, kind) in PARAMETERS.items():
        if identifier not in values:
            assert getattr(found, name) == getattr(DEFAULTS, name)
        elif kind == "integer":
            assert getattr(found, name) == VARINT.parse(values[identifier])
        elif kind in ("token", "cid"):
            assert getattr(found, name) == values[identifier]


def _fits(kind: str, value: bytes) -> bool:
    if kind == "integer":
        return bool(value) and len(value) == 1 << (value[0] >> 6)
    if kind == "versions":
        words = [value[at : at + 4] for at in range(0, len(value), 4)]
        return bool(words) and len(words[-1]) == 4 and bytes(4) not in words
    if kind == "preferred":
        return len(value) >= 41 and len(value) == 41 + value[24] and value[24] <= 20
    return {"token": len(value) == 16, "cid": len(value) <= 20, "flag": not value}[kind]


def test_what_is_left_out_has_the_default_of_rfc_9000_18_2() -> None:
    found = TransportParameters.decode(b"")
    assert TransportParameters().encode() == b""
    assert (found.max_udp_payload_size, found.ack_delay_exponent, found.max_ack_delay_ms) == (65_527, 3, 25)
    assert (found.active_connection_id_limit, found.max_idle_timeout_ms, found.initial_max_data) == (2, 0, 0)
    assert found.min_ack_delay_us is None
    assert found.initial_max_path_id is None


def test_every_truncation_is_a_wire_error_or_leaves_whole_parameters() -> None:
    whole = TransportParameters(
        max_idle_timeout_ms=30_000, initial_max_data=1 << 40, stateless_reset_token=bytes(16),
        preferred_address=PreferredAddress(("192.0.2.1", 443), None, b"cid", bytes(range(16))),
        version_information=VersionInformation(1, (1, 2)), unknown={27: bytes(70)},
    )  # fmt: skip
    raw = whole.encode()
    ends = {0}
    for each in DEFINITION.parse(raw):
        ends.add(max(ends) + len(built({each.identifier: each.value})))
    assert max(ends) == len(raw)
    for size in range(len(raw)):
        if size in ends:
            TransportParameters.decode(raw[:size])
        else:
            with pytest.raises(WireError):
                TransportParameters.decode(raw[:size])


@pytest.mark.parametrize(
    "change",
    [
        {"initial_max_data": 1 << 62},
        {"ack_delay_exponent": -1},
        {"stateless_reset_token": bytes(15)},
        {"initial_source_connection_id": bytes(21)},
        {"version_information": VersionInformation(1 << 32, ())},
        {"version_information": VersionInformation(1, (-1,))},
        {"preferred_address": PreferredAddress(("::1", 1), None, b"", bytes(16))},
        {"preferred_address": PreferredAddress(None, ("192.0.2.1", 1), b"", bytes(16))},
        {"preferred_address": PreferredAddress(("192.0.2.1", 1 << 16), None, b"", bytes(16))},
        {"preferred_address": PreferredAddress(("example.org", 1), None, b"", bytes(16))},
        {"preferred_address": PreferredAddress(None, None, bytes(21), bytes(16))},
        {"preferred_address": PreferredAddress(None, None, b"x", bytes(17))},
    ],
    ids=str,
)
def test_what_does_not_fit_is_a_wire_error(change: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        replace(TransportParameters(), **change).encode()
    assert caught.value.format in ("QuicTransportParameters", "QuicVarint")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("11 04 00000000", "version 0"),
        ("11 08 00000001 00000000", "version 0"),
        ("11 06 00000001 0000", "no list of versions"),
        ("11 00", "no list of versions"),
        ("01 01 05 01 01 05", "there twice"),
        ("1b 00 1b 01 00", "there twice"),
        ("01 02 05 05", "no single integer"),
        ("01 00", "no single integer"),
        ("0c 01 00", "not empty"),
        ("02 0f" + "00" * 15, "not 16"),
        ("0f 15" + "00" * 21, "20 at most"),
        ("0d 29" + "00" * 24 + "01" + "00" * 16, "not what it says"),
    ],
)
def test_what_no_parameter_can_be_is_a_wire_error(raw: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        TransportParameters.decode(bytes.fromhex(raw))


def test_an_ipv4_mapped_address_is_written_one_way_on_every_python() -> None:
    mapped = PreferredAddress(None, ("::ffff:c000:201", 443), b"x", bytes(16))
    raw = TransportParameters(preferred_address=mapped).encode()
    found = TransportParameters.decode(raw).preferred_address
    assert found is not None
    assert found.ipv6 == ("::ffff:192.0.2.1", 443)


def test_identifiers_are_those_of_their_documents() -> None:
    assert {name: identifier for identifier, (name, _) in PARAMETERS.items() if identifier > 0x10} == {
        "version_information": 0x11, "reset_stream_at": 0x1D, "max_datagram_frame_size": 0x20,
        "initial_max_path_id": 0x3E, "grease_quic_bit": 0x2AB2, "min_ack_delay_us": 0xFF04DE1B,
    }  # fmt: skip
