"""Any datagrams, from anybody, to an endpoint with an honest connection: which must not notice.

The first byte says to whom (bit 0: the client, else the server), and whether the server sends Retry packets (bit 1).
The rest are records: one byte that says from where, two of length, and so many of the datagram. A length with its
highest bit set names a datagram that passed between the honest ends instead, and how it is changed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.quic.connection import ConnectionState
from tests.stacks.quic.rig import CLIENT, SECOND_NS, SERVER, Rig, server_configuration
from transports.datagram import Address, Transmit
from transports.packets import Packet
from wire.quic.packet import encode_long_header, write_length

SOURCES: tuple[Address, ...] = (CLIENT, SERVER, ("10.9.9.9", 9), ("10.9.9.8", 443))
STRANGERS = SOURCES[2:]
DATAGRAMS_MAX = 60
VERSIONS = (0, 1, 0x6B3343CF, 0x0A0A0A0A, 0xFFFFFFFF)


def check(data: bytes) -> None:
    """Send the datagrams, and check everything that must hold; raises whatever does not."""
    control, rest = (data or b"\0")[0], data[1:]
    rig = Rig(server=server_configuration(is_retrying=bool(control & 2)))
    passed: list[bytes] = []
    came = dict.fromkeys(STRANGERS, 0)
    left = dict.fromkeys(STRANGERS, 0)

    def note(_: int, what: str, packet: Packet) -> None:
        if what == "sent" and packet.destination in left:
            left[packet.destination] += len(packet.payload)
        if packet.source in (CLIENT, SERVER):
            passed.append(packet.payload)

    rig.network.trace = note
    client, server = rig.establish()
    victim = CLIENT if control & 1 else SERVER
    for source, datagram in datagrams(rest, list(passed)):
        if source in came:
            came[source] += len(datagram)
        if datagram:
            rig.network.send(Transmit([datagram], 0, None, victim), source)
    rig.run(SECOND_NS)
    for address in STRANGERS:
        # Version Negotiation echoes connection IDs of 255 bytes; everything else is smaller than what it answers.
        assert left[address] <= 3 * came[address], f"{left[address]} bytes for {came[address]}"
    assert client.state == server.state == ConnectionState.CONFIRMED
    stream = client.open_stream()
    client.write(stream, b"still here", is_fin=True)
    rig.run(SECOND_NS)
    assert server.read(stream) == b"still here"
    rig.run(200 * SECOND_NS)
    assert not rig.server.connections, "a connection stayed for ever"
    assert not rig.client.connections


def datagrams(data: bytes, passed: list[bytes]) -> Iterator[tuple[Address, bytes]]:
    """Sources and datagrams."""
    offset = count = 0
    while offset + 3 <= len(data) and count < DATAGRAMS_MAX:
        source = SOURCES[data[offset] % len(SOURCES)]
        length = int.from_bytes(data[offset + 1 : offset + 3], "big")
        offset += 3
        count += 1
        if length & 0x8000:
            changed = bytearray(passed[length % len(passed)])
            high, low, value = (*data[offset : offset + 3], 0, 0, 0)[:3]
            changed[(high << 8 | low) % len(changed)] ^= value or 1  # a copy would be the honest end's own
            offset += 3
            yield source, bytes(changed)
        else:
            yield source, data[offset : offset + length]
            offset += length


def seeds() -> list[bytes]:
    """Packets of every kind and version, for nobody, and some that passed, changed in one byte."""
    found = []
    for control in range(4):
        for version in VERSIONS:
            datagram = bytearray(1200)
            length_offset, number_offset = encode_long_header(datagram, 0, 0, 1, b"12345678", b"abcdefgh", b"", 2)
            datagram[1:5] = version.to_bytes(4, "big")
            write_length(datagram, length_offset, 1200 - number_offset)
            found.append(bytes((control,)) + b"\x02" + (1200).to_bytes(2, "big") + bytes(datagram))
        found.append(bytes((control,)) + b"\x00\x80\x05\x00\x10\x01" + b"\x01\x80\x02\x00\x20\x80")
    return found


def mutated(data: bytes, rng: random.Random) -> bytes:
    """More records, and other bytes in those that are there."""
    out = bytearray(data or b"\0")
    if rng.random() < 0.3:
        out[0] = int(rng.random() * 4)
    for _ in range(1 + int(rng.random() * 5)):
        if rng.random() < 0.5:
            out += bytes(
                (int(rng.random() * 4), 0x80, int(rng.random() * 40), int(rng.random() * 6), int(rng.random() * 256),
                 int(rng.random() * 256))
            )  # fmt: skip
        else:
            size = int(rng.random() * 60) if rng.random() < 0.5 else 1200
            first = bytes((int(rng.random() * 256),)) + VERSIONS[int(rng.random() * 5)].to_bytes(4, "big")
            body = first + bytes(int(rng.random() * 24) for _ in range(max(0, size - 5)))
            out += bytes((int(rng.random() * 4),)) + len(body).to_bytes(2, "big") + body
    for _ in range(int(rng.random() * 3)):
        out[int(rng.random() * len(out))] = int(rng.random() * 256)
    return bytes(out)
