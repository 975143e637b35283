"""Numbers, texts and lists: what the enums, defaults and small functions of wire.nvme promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.nvme import (
    DNR,
    FLAGS_SGL,
    IDENTIFY_BYTES,
    AdminOpcode,
    ConnectCommand,
    ConnectData,
    ControllerCapabilities,
    ControllerConfiguration,
    ControllerStatus,
    CopyCommand,
    CopyRange,
    DisconnectCommand,
    FabricsType,
    FeatureEffectsEntry,
    HostBehavior,
    IdentifierType,
    IdentifyController,
    IdentifyNamespace,
    IoCommandStatus,
    IoOpcode,
    KeyedSgl,
    LogSupportEntry,
    PropertyGetCommand,
    PropertySetCommand,
    SglKind,
    StatusCode,
    SubmissionEntry,
    TemperatureThreshold,
    Timestamp,
    decode_identifiers,
    decode_nsids,
    encode_identifiers,
    encode_nsids,
    is_do_not_retry,
    padded,
    padded_text,
    status_code,
    status_text,
    status_word,
)


def test_status_word_captured_from_linux_is_write_zeroes_refused() -> None:
    word = status_word(IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED, more=True, do_not_retry=True)
    assert word == 0xC306


@given(code=st.integers(0, 0x7FF), more=st.booleans(), dnr=st.booleans(), delay=st.integers(0, 3))
def test_status_word_keeps_the_code(code: int, more: bool, dnr: bool, delay: int) -> None:
    word = status_word(code, more=more, do_not_retry=dnr, retry_delay=delay)
    assert 0 <= word <= 0xFFFF
    assert not word & 1
    assert status_code(word) == code
    assert is_do_not_retry(word) is dnr


def test_status_text_depends_on_the_queue() -> None:
    assert status_text(0x182) == "connect invalid parameters"
    assert status_text(0x182, is_io=True) == "write to read only range"
    assert status_text(StatusCode.LBA_OUT_OF_RANGE, is_io=True) == "lba out of range"
    assert status_text(0x7C0) == "status type 7 code 0xc0"


def test_fabrics_commands_start_with_opcode_flags_and_type() -> None:
    for command, kind in (
        (ConnectCommand(), FabricsType.CONNECT),
        (PropertyGetCommand(), FabricsType.PROPERTY_GET),
        (PropertySetCommand(), FabricsType.PROPERTY_SET),
        (DisconnectCommand(), FabricsType.DISCONNECT),
    ):
        assert (command.opcode, command.flags, command.fctype) == (AdminOpcode.FABRICS, FLAGS_SGL, kind)
    assert SubmissionEntry().flags == FLAGS_SGL


def test_keyed_sgl_has_a_24_bit_length_before_its_key() -> None:
    sgl = KeyedSgl(address=0x1122334455667788, length=0x00ABCD, key=0xDEADBEEF, kind=SglKind.KEYED_INVALIDATE)
    assert sgl.encode().hex() == "8877665544332211" + "cdab00" + "efbeadde" + "4f"


def test_offsets_are_those_of_the_documents() -> None:
    controller = IdentifyController(nn=1, sgls=2, ioccsz=3, cntrltype=4, kas=5, subnqn=padded("n", 256), mnan=6)
    data = controller.encode()
    assert (data[516], data[536], data[1792], data[111], data[320], data[768:769], data[540]) == (
        1,
        2,
        3,
        4,
        5,
        b"n",
        6,
    )
    namespace = IdentifyNamespace(flbas=1, anagrpid=2, lbaf=b"\3" * 256, nguid=b"\4" * 16, eui64=b"\5" * 8).encode()
    assert (namespace[26], namespace[92], namespace[104], namespace[120], namespace[128]) == (1, 2, 4, 5, 3)
    connect = ConnectData(cntlid=0xFFFF, subnqn=padded("s", 256), hostnqn=padded("h", 256)).encode()
    assert (connect[16:18], connect[256:257], connect[512:513]) == (b"\xff\xff", b"s", b"h")


def test_copy_names_its_ranges_where_the_document_has_them() -> None:
    command = CopyCommand(opcode=IoOpcode.COPY, sdlba=0x1122334455667788, nr=3, format_prinfor=0x51, control=0x4000)
    data = command.encode()
    assert data[40:52].hex() == "8877665544332211" + "03510040"
    assert CopyRange(slba=0x1122334455667788, nlb=0xABCD).encode().hex() == (
        "0000000000000000" + "8877665544332211" + "cdab" + "000000000000" + "0000000000000000"
    )


def test_features_have_their_fields_where_the_document_has_them() -> None:
    threshold = TemperatureThreshold(tmpth=0x0157, tmpsel=5, thsel=1)
    assert threshold.encode() == (0x00150157).to_bytes(4, "little")
    stamp = Timestamp(timestamp=0x0102030405060708 >> 16, origin=1, synch=1)
    assert stamp.encode().hex() == "060504030201" + "0300"
    behavior = HostBehavior(acre=1, lbafee=1).encode()
    assert (len(behavior), behavior[:4]) == (512, b"\1\0\1\0")
    effects = FeatureEffectsEntry(supported=1, user_data=1, scope=2).encode()
    assert effects == (0x00200003).to_bytes(4, "little")
    assert LogSupportEntry(supported=1, parameter=7).encode() == b"\1\0\7\0"


def test_property_values_that_linux_exchanges() -> None:
    capabilities = ControllerCapabilities.decode((0x00000820_0F0003FF).to_bytes(8, "little"))
    assert (capabilities.mqes, capabilities.timeout, capabilities.cqr) == (1023, 15, 0)
    assert (capabilities.css, capabilities.nssrs, capabilities.dstrd) == (0x41, 0, 0)
    configuration = ControllerConfiguration(iosqes=6, iocqes=4, css=6, shn=1, en=1)
    assert configuration.encode() == (0x00464061).to_bytes(4, "little")
    assert ControllerStatus.decode(b"\x08\0\0\0").shst == 2


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=32), st.sampled_from([b" ", b"\0"]))
def test_padded_text_reads_what_padded_wrote(text: str, fill: bytes) -> None:
    field = padded(text, 32, fill=fill)
    assert len(field) == 32
    assert padded_text(field) == text


def test_text_that_does_not_fit_is_refused_and_undecodable_text_is_not() -> None:
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        padded("abcde", 4)
    assert padded_text(b"a\xff\0b") == "a\N{REPLACEMENT CHARACTER}"


@given(st.lists(st.integers(1, 0xFFFFFFFF), max_size=20))
def test_namespace_lists_end_at_the_first_zero(nsids: list[int]) -> None:
    assert decode_nsids(encode_nsids(nsids, 4096)) == nsids
    assert decode_nsids(encode_nsids(nsids)) == nsids


def test_too_many_namespaces_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        encode_nsids([1, 2], 4)


def test_identification_descriptors_round_trip() -> None:
    identifiers = [
        (IdentifierType.UUID, bytes(range(16))),
        (IdentifierType.NGUID, b"n" * 16),
        (IdentifierType.CSI, b"\0"),
    ]
    data = encode_identifiers(identifiers)
    assert len(data) == IDENTIFY_BYTES
    assert decode_identifiers(data) == identifiers


@given(st.binary(max_size=64))
def test_identification_descriptors_never_read_past_the_end(data: bytes) -> None:
    try:
        found = decode_identifiers(data)
    except WireError:
        return
    assert sum(4 + len(identifier) for _, identifier in found) <= len(data)


def test_too_many_identification_descriptors_are_refused() -> None:
    with pytest.raises(WireError):
        encode_identifiers([(3, bytes(250))] * 17)


def test_do_not_retry_is_the_top_bit() -> None:
    assert DNR == 0x8000
