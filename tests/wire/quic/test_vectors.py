"""What is published: the packets of RFC 9001 appendix A and RFC 9369 appendix A as far as headers and frames go.

A.1 to A.3 of RFC 9000 are in `test_varint` and `test_numbers`. For RFC 9221 and the drafts nothing is published.
"""

from __future__ import annotations

from wire.quic import packet as p
from wire.quic.ack_frames import Ack
from wire.quic.frames import Crypto, Padding, Ping, read_frames
from wire.quic.parameters import TransportParameters

CLIENT_HELLO = bytes.fromhex("""
    010000ed0303ebf8fa56f129 39b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c000004130113 02010000c000000010000e00000b6578
    616d706c652e636f6dff01000100000a 00080006001d00170018001000070005
    04616c706e0005000501000000000033 00260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce1 5d43e994ec74d748002b000302030400
    0d0010000e0403050306030203080408 050806002d00020101001c0002400100
    3900320408ffffffffffffffff050480 00ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806 048000ffff
""")
SERVER_HELLO = bytes.fromhex("""
    020000560303ee fce7f7b37ba1d1632e96677825ddf739
    88cfc79825df566dc5430b9a045a1200 130100002e00330024001d00209d3c94
    0d89690b84d08a60993c144eca684d10 81287c834d5311bcf32bb9da1a002b00
    020304
""")
CLIENT_CID, SERVER_CID = bytes.fromhex("8394c8f03e515708"), bytes.fromhex("f067a5502a4262b5")


def test_rfc_9001_a_2_client_initial_header() -> None:
    raw = bytes.fromhex("c300000001088394c8f03e5157080000449e00000002")
    buffer = bytearray(1200)
    places = p.encode_long_header(buffer, 0, p.KIND_INITIAL, p.VERSION_1, CLIENT_CID, b"", b"", 4)
    assert places == (16, 18)
    p.write_length(buffer, 16, 4 + 1162 + 16)
    buffer[18:22] = (2).to_bytes(4, "big")
    assert buffer[:22] == raw
    header = p.decode_header(buffer, 0, 1200, 8)
    assert (header.kind, header.destination_cid, header.source_cid, header.token) == (0, CLIENT_CID, b"", b"")
    assert (header.number_offset, header.end) == (18, 1200)


def test_rfc_9001_a_2_client_initial_payload() -> None:
    payload = bytes.fromhex("060040f1") + CLIENT_HELLO
    assert len(CLIENT_HELLO) == 241
    payload = payload.ljust(1162, b"\0")
    frames = [frame for _, frame in read_frames(memoryview(payload))]
    assert frames == [Crypto(0, CLIENT_HELLO), Padding(1162 - 245)]
    assert b"".join(frame.encode() for frame in frames) == payload  # type: ignore[attr-defined]


def test_rfc_9001_a_2_transport_parameters() -> None:
    at = CLIENT_HELLO.index(bytes.fromhex("00390032")) + 4
    found = TransportParameters.decode(CLIENT_HELLO[at : at + 0x32])
    assert found == TransportParameters(
        initial_max_data=(1 << 62) - 1,
        initial_max_stream_data_bidi_local=65_535,
        initial_max_stream_data_uni=65_535,
        initial_max_streams_bidi=16,
        max_idle_timeout_ms=30_000,
        initial_max_streams_uni=16,
        initial_source_connection_id=CLIENT_CID,
        initial_max_stream_data_bidi_remote=65_535,
    )
    # The same parameters, in another order.
    assert len(found.encode()) == 0x32


def test_rfc_9001_a_3_server_initial() -> None:
    raw = bytes.fromhex("c1000000010008f067a5502a4262b50040750001")
    buffer = bytearray(135)
    places = p.encode_long_header(buffer, 0, p.KIND_INITIAL, p.VERSION_1, b"", SERVER_CID, b"", 2)
    assert places == (16, 18)
    p.write_length(buffer, 16, 2 + 99 + 16)
    buffer[18:20] = (1).to_bytes(2, "big")
    assert buffer[:20] == raw
    assert p.decode_header(buffer, 0, 135, 8).end == 135
    payload = bytes.fromhex("02000000000600405a") + SERVER_HELLO
    frames = [frame for _, frame in read_frames(memoryview(payload))]
    assert frames == [Ack([(0, 0)], 0), Crypto(0, SERVER_HELLO)]
    assert b"".join(frame.encode() for frame in frames) == payload  # type: ignore[attr-defined]


def test_rfc_9001_a_4_retry() -> None:
    raw = bytes.fromhex("ff000000010008f067a5502a4262b574 6f6b656e04a265ba2eff4d829058fb3f 0f2496ba")
    found = p.decode_retry(raw)
    assert (found.version, found.destination_cid, found.source_cid) == (1, b"", SERVER_CID)
    assert (found.token, found.tag) == (b"token", bytes.fromhex("04a265ba2eff4d829058fb3f0f2496ba"))
    assert p.encode_retry(p.VERSION_1, b"", SERVER_CID, b"token", 0xF) + found.tag == raw


def test_rfc_9001_a_5_short_header() -> None:
    raw = bytes.fromhex("4200bff4")
    header = p.decode_header(raw, 0, 4, 0)
    assert (header.kind, header.destination_cid, header.number_offset, header.first & 3) == (p.KIND_ONE_RTT, b"", 1, 2)
    assert raw[1:] == (654_360_564 & 0xFFFFFF).to_bytes(3, "big")
    assert p.decode_number(49_140, 3, 654_360_564) == 654_360_564
    assert list(read_frames(memoryview(b"\1"))) == [(1, Ping())]


def test_rfc_9369_a_headers_of_version_2() -> None:
    buffer = bytearray(1200)
    p.encode_long_header(buffer, 0, p.KIND_INITIAL, p.VERSION_2, CLIENT_CID, b"", b"", 4)
    p.write_length(buffer, 16, 1182)
    assert buffer[:18] == bytes.fromhex("d36b3343cf088394c8f03e5157080000449e")
    assert p.decode_header(buffer, 0, 1200, 8).kind == p.KIND_INITIAL
    p.encode_long_header(buffer, 0, p.KIND_INITIAL, p.VERSION_2, b"", SERVER_CID, b"", 2)
    p.write_length(buffer, 16, 117)
    assert buffer[:18] == bytes.fromhex("d16b3343cf0008f067a5502a4262b5004075")
    retry = bytes.fromhex("cf6b3343cf0008f067a5502a4262b574 6f6b656ec8646ce8bfe33952d9555436 65dcc7b6")
    found = p.decode_retry(retry)
    assert (found.version, found.source_cid, found.token) == (p.VERSION_2, SERVER_CID, b"token")
    assert p.encode_retry(p.VERSION_2, b"", SERVER_CID, b"token", 0xF) + found.tag == retry
