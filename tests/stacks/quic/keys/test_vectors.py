"""RFC 9001 appendix A and RFC 9369 appendix A, byte for byte."""

from __future__ import annotations

import pytest

from stacks.quic.keys import (
    SUITES,
    Opener,
    Sealer,
    initial_keys,
    initial_secrets,
    next_secret,
    packet_keys,
    retry_tag,
)
from stacks.quic.keys.secrets import INITIAL_SUITE
from tests.stacks.quic.keys import vectors
from tests.stacks.quic.keys.vectors import DESTINATION_CID, VERSION_1_VECTORS, VERSION_2_VECTORS, Keys, Vectors

CHACHA = SUITES[0x1303]
both_versions = pytest.mark.parametrize("vector", [VERSION_1_VECTORS, VERSION_2_VECTORS], ids=["v1", "v2"])


@both_versions
def test_initial_secrets_and_their_keys(vector: Vectors) -> None:
    client, server = initial_secrets(vector.version, DESTINATION_CID)
    for secret, expected in ((client, vector.client), (server, vector.server)):
        key, iv, hp = packet_keys(INITIAL_SUITE, secret, vector.version)
        assert Keys(secret.hex(), key.hex(), iv.hex(), hp.hex()) == expected


@both_versions
def test_masks_of_samples(vector: Vectors) -> None:
    for suite, keys, sample, mask in (
        (INITIAL_SUITE, vector.client, vector.client_sample, vector.client_mask),
        (INITIAL_SUITE, vector.server, vector.server_sample, vector.server_mask),
        (CHACHA, vector.chacha, vector.chacha_sample, vector.chacha_mask),
    ):
        masks = suite.masks(bytes.fromhex(keys.hp))
        expected = bytes.fromhex(mask)
        assert masks(bytes.fromhex(sample) * 3) == (expected[0], int.from_bytes(expected[1:], "big")) * 3


@both_versions
def test_client_initial(vector: Vectors) -> None:
    header, packet = bytes.fromhex(vector.client_header), vector.client_packet
    client, _ = initial_keys(vector.version, DESTINATION_CID, is_client=True)
    _, server = initial_keys(vector.version, DESTINATION_CID, is_client=False)
    assert sealed(client, header, vectors.CLIENT_PAYLOAD, 2, number_bytes=4) == packet
    assert opened(server, packet, len(header) - 4, -1) == (2, header[0], vectors.CLIENT_PAYLOAD)


@both_versions
def test_server_initial(vector: Vectors) -> None:
    header, packet = bytes.fromhex(vector.server_header), vector.server_packet
    server, _ = initial_keys(vector.version, DESTINATION_CID, is_client=False)
    _, client = initial_keys(vector.version, DESTINATION_CID, is_client=True)
    assert sealed(server, header, vectors.SERVER_PAYLOAD, 1, number_bytes=2) == packet
    assert opened(client, packet, len(header) - 2, -1) == (1, header[0], vectors.SERVER_PAYLOAD)


@both_versions
def test_retry(vector: Vectors) -> None:
    retry = bytes.fromhex(vector.retry)
    assert retry_tag(vector.version, DESTINATION_CID, retry[:-16]) == retry[-16:]


@both_versions
def test_chacha20_short_header_packet(vector: Vectors) -> None:
    secret, header = vectors.CHACHA_SECRET, vectors.CHACHA_HEADER
    key, iv, hp = packet_keys(CHACHA, secret, vector.version)
    assert Keys(secret.hex(), key.hex(), iv.hex(), hp.hex()) == vector.chacha
    assert next_secret(CHACHA, secret, vector.version).hex() == vector.chacha_next_secret
    packet = bytes.fromhex(vector.chacha_packet)
    sealer = Sealer(CHACHA, secret, vector.version)
    assert sealed(sealer, header, vectors.CHACHA_PAYLOAD, vectors.CHACHA_NUMBER, number_bytes=3) == packet
    opener = Opener(CHACHA, secret, vector.version)
    expected = (vectors.CHACHA_NUMBER, header[0], vectors.CHACHA_PAYLOAD)
    assert opened(opener, packet, 1, vectors.CHACHA_NUMBER - 1) == expected


def sealed(sealer: Sealer, header: bytes, payload: bytes, number: int, *, number_bytes: int) -> bytes:
    packet = bytearray(header + payload + bytes(16))
    sealer.seal(memoryview(packet), [(0, len(header) - number_bytes, number_bytes, number, len(packet))])
    return bytes(packet)


def opened(opener: Opener, packet: bytes, number_offset: int, largest: int) -> tuple[int, int, bytes]:
    buffer = memoryview(bytearray(packet))
    (result,) = opener.open_burst(buffer, [(0, number_offset, len(packet))], largest)
    assert result is not None
    return result[0], result[1], bytes(result[2])
