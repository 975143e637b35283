"""Captures and key logs become packets, frames and connections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from interop.quic.dissect.datagrams import Point, read_capture
from interop.quic.dissect.frames import ACK, CRYPTO, HANDSHAKE_DONE, STREAM
from interop.quic.dissect.hello import CryptoStream, offered_suites
from interop.quic.dissect.key_log import read_key_logs
from interop.quic.dissect.trace import Trace
from tests.interop.quic.session import download
from wire.quic.packet import KIND_HANDSHAKE, KIND_INITIAL, KIND_ONE_RTT, VERSION_2, decode_header


def test_every_packet_of_a_session_is_opened(tmp_path: Path) -> None:
    trace = download(tmp_path).trace()
    troubles = [packet.trouble for each in trace.sent for packet in each.packets]
    assert len(troubles) > 20
    assert set(troubles) == {""}
    assert len(trace.connections) == 1
    for is_from_client in (True, False):
        for kind in (KIND_INITIAL, KIND_HANDSHAKE):
            assert any(packet.has(CRYPTO) for packet in trace.packets(kind, is_from_client=is_from_client))
        assert any(packet.has(ACK) for packet in trace.packets(KIND_ONE_RTT, is_from_client=is_from_client))
    assert any(packet.has(HANDSHAKE_DONE) for packet in trace.packets(KIND_ONE_RTT, is_from_client=False))


def test_the_stream_in_the_packets_is_the_one_that_was_sent(tmp_path: Path) -> None:
    trace = download(tmp_path).trace()
    pieces = {
        frame.numbers[1] if frame.kind & 4 else 0: frame.data
        for packet in trace.packets(KIND_ONE_RTT, is_from_client=False)
        for frame in packet.frames
        if STREAM <= frame.kind <= STREAM + 7 and frame.numbers[0] == 0
    }
    assert b"".join(pieces[offset] for offset in sorted(pieces)) == b"x" * 20_000


def test_packets_are_opened_after_a_key_update_and_in_version_2(tmp_path: Path) -> None:
    trace = download(tmp_path, key_update=True, is_version2=True).trace()
    # aioquic 1.7.2's client seals its first Initial packet of version 2 with the keys of version 1: nobody can open it.
    others = [
        packet
        for each in trace.sent
        for packet in each.packets
        if not (packet.is_from_client and packet.kind == KIND_INITIAL and packet.header.version == VERSION_2)
    ]
    assert {packet.trouble for packet in others} == {""}
    assert {packet.header.version for packet in others if packet.kind == KIND_HANDSHAKE} == {VERSION_2}
    assert {packet.phase for packet in trace.packets(KIND_ONE_RTT)} == {0, 1}


def test_without_keys_only_initial_packets_are_opened(tmp_path: Path) -> None:
    session = download(tmp_path)
    session.log.truncate(0)
    trace = session.trace()
    assert {packet.trouble for packet in trace.packets(KIND_INITIAL)} == {""}
    assert {packet.trouble for packet in trace.packets(KIND_HANDSHAKE, KIND_ONE_RTT)} == {"no keys"}


def test_what_was_sent_before_the_server_hello_is_opened_too(tmp_path: Path) -> None:
    # The server's first datagram has both; here its Handshake packet comes alone, before it.
    session = download(tmp_path)
    session.file.close()
    whole = read_capture(tmp_path / "link.pcapng")
    (tmp_path / "keys").write_text(session.log.getvalue())
    at = next(index for index, each in enumerate(whole) if each.point is Point.SERVER_SENT)
    first = whole[at].payload
    end = decode_header(first, 0, len(first), 0).end
    whole[at : at + 1] = [replace(whole[at], payload=first[end:]), replace(whole[at], payload=first[:end])]
    trace = Trace(whole, read_key_logs([tmp_path / "keys"]))
    assert {packet.trouble for each in trace.sent for packet in each.packets} == {""}


def test_crypto_frames_are_put_together_in_any_order() -> None:
    message = b"\x0b\x00\x00\x05abcde"
    stream = CryptoStream()
    for start, end in ((6, 9), (0, 3), (2, 7)):
        stream.add(start, message[start:end])
    assert list(stream.messages()) == [(0x0B, b"abcde")]
    assert stream.end == 9
    assert stream.message(2) is None


def test_offered_cipher_suites_are_read_from_a_client_hello() -> None:
    hello = b"\x03\x03" + bytes(32) + b"\x02\xaa\xbb" + b"\x00\x04\x13\x03\x13\x01" + b"\x01\x00"
    assert offered_suites(hello) == [0x1303, 0x1301]


def test_a_key_log_may_have_comments_and_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# x\nCLIENT_RANDOM x\n\nQUIC_CLIENT_TRAFFIC_SECRET_0 aa bb\nSERVER_TRAFFIC_SECRET_0 aa zz\n")
    assert read_key_logs([path, tmp_path / "none"]) == {b"\xaa": {"CLIENT_TRAFFIC_SECRET_0": b"\xbb"}}
