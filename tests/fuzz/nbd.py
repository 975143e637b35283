"""Any bytes from a client to an NBD server.

The first byte says how far the client has come in good order, the second how the rest is cut and how much of what is
there it reads at a time; the rest is what it says.
"""

from __future__ import annotations

import random

from stacks.nvme.nbd import Export, NbdConfig, NbdServer
from stacks.nvme.nbd.connection import NbdConnection
from tests.fuzz.direct import SIZES, fill, joined
from tests.stacks.nvme.nbd.client import Client, named
from tests.stacks.nvme.nbd.disk import Disk
from tests.stacks.nvme.nbd.test_fuzz import check_that_others_are_served, mutate
from wire.nbd import PORTABLE_BYTES_MAX, CommandKind, Info, Option

BLOCK_BYTES, SIZE_BYTES = 512, 1 << 20
CLIENT_BYTES = PORTABLE_BYTES_MAX + (1 << 20)
KEPT = b"kept"
GREETING = b"NBDMAGICIHAVEOPT"


def check(data: bytes) -> None:
    """Have a server hear `data`, and check everything that must hold; raises whatever does not."""
    control, rest = data[:2].ljust(2, b"\0"), data[2:]
    # What ends next is decided by the input, too.
    disk = Disk(BLOCK_BYTES, SIZE_BYTES // BLOCK_BYTES, rng=random.Random(control[1]))
    config = NbdConfig(clients=4, client_bytes=CLIENT_BYTES, client_requests=16)
    server = NbdServer(disk, Export(name="disk", block_bytes=BLOCK_BYTES, size_bytes=SIZE_BYTES), config=config)
    client = server.handle_accepted(("", 0), ("", 0), 0)
    assert isinstance(client, NbdConnection)
    sizes = SIZES[control[1] % len(SIZES)]
    said = bytearray()
    _feed(server, client, disk, bytes(_preamble(control[0])), (1 << 20,), said)
    _feed(server, client, disk, rest, sizes, said)
    assert bytes(said[: len(GREETING)]) == GREETING[: len(said)]
    assert client.under_way <= config.client_requests
    if not client.is_over:
        client.handle_ended("reset" if control[0] & 4 else "", 0)
    for _ in range(200):
        if not _turn(server, client, disk, 1 << 20, said):
            break
    assert disk.pending == 0
    assert server.is_drained, "a client stayed"
    check_that_others_are_served(server, disk)


def _preamble(control: int) -> bytearray:
    client = Client()
    if control & 3:
        client.say_flags()
    if control & 3 == 3:
        client.say_option(Option.STRUCTURED_REPLY)
    if control & 3 >= 2:
        client.say_go("disk")
    return client.outgoing


def _feed(
    server: NbdServer, client: NbdConnection, disk: Disk, data: bytes, sizes: tuple[int, ...], said: bytearray
) -> None:
    at = turn = stuck = 0
    while at < len(data) and not client.is_over and stuck < 50:
        size = sizes[turn % len(sizes)]
        views = client.receive_views()
        piece = data[at : at + min(size, sum(map(len, views)))]
        if piece:
            fill(views, piece)
            client.handle_received(len(piece), 0)
        at, turn, stuck = at + len(piece), turn + 1, 0 if piece else stuck + 1
        _turn(server, client, disk, size, said)


def _turn(server: NbdServer, client: NbdConnection, disk: Disk, size: int, said: bytearray) -> bool:
    did = disk.pump(0)
    for core in [*server.poll_active(0), client]:
        views = core.poll_output()
        length = min(size, sum(map(len, views)))
        if length and not client.is_over:
            said += joined(views, length)
            core.sent(length)
            did = True
    return did


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Changed as one does who knows where the headers are."""
    rest = bytearray(data[2:]) or bytearray(b"\0")
    return data[:2].ljust(2, b"\0") + bytes(mutate(rest, rng))


def seeds() -> list[bytes]:
    """Inputs to begin with: what clients say in each state, in every cut."""
    found = []
    for cut in range(len(SIZES)):
        found.append(bytes([0, cut]) + _preamble(3) + _requests())
        for option in (*Option, 99):
            client = Client()
            client.say_option(option, named("disk", [Info.BLOCK_SIZE]))
            found.append(bytes([1, cut]) + client.outgoing)
        for state in (2, 3):
            found += [bytes([state | flag, cut]) + _requests() for flag in (0, 4)]
    return found


def _requests() -> bytes:
    client = Client()
    client.say_write(0, b"x" * 512)
    client.say_write(100, b"y" * 3000)
    for kind in CommandKind:
        if kind not in (CommandKind.WRITE, CommandKind.DISC):
            for flags in (0, 1, 2):
                client.say_request(kind, 4096, 8192, flags=flags)
    client.say_request(CommandKind.READ, SIZE_BYTES - 1, 2)
    client.say_request(CommandKind.READ, 0, 256 << 10)
    client.say_request(CommandKind.DISC)
    return bytes(client.outgoing)
