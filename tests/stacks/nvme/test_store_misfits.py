"""Stores that are not what they should be: whatever they raise ends one command, and never the target."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.stores import MemoryStore, Store
from stacks.nvme.stores.contract import StoreRequest
from stacks.nvme.target import Subsystem
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_rig import TcpRig
from wire.nvme.status import StatusCode

BLOCK = 4096


class BadView(MemoryStore):
    """Raises where it is to lend its blocks, and where it is to read them."""

    def view(self, block: int, blocks: int) -> memoryview | None:
        raise OSError(5, "bit rot")

    def read(self, block: int, into: memoryview) -> None:
        raise OSError(5, "bit rot")


class ShortView(MemoryStore):
    """Lends less than it is asked for."""

    def view(self, block: int, blocks: int) -> memoryview | None:
        found = super().view(block, blocks)
        return None if found is None else found[:-1]


class BadDelay(MemoryStore):
    """Does not know how late it is."""

    has_delays = True

    def delay_ns(self, request: StoreRequest) -> int:
        raise ValueError("never counted")


def test_a_view_that_fails_is_a_read_that_fails() -> None:
    rig = TcpRig(BadView(1 << 20))
    namespace = rig.namespace()
    into = memoryview(bytearray(BLOCK))
    assert rig.do(namespace.read(0, into)) == StatusCode.UNRECOVERED_READ_ERROR
    assert rig.do(namespace.write(0, memoryview(bytes(BLOCK)))) == 0


@pytest.mark.parametrize("make", [ShortView, BadDelay])
def test_what_a_store_says_wrongly_is_done_without(make: Callable[[int], Store]) -> None:
    rig = TcpRig(make(1 << 20))
    namespace = rig.namespace()
    assert rig.do(namespace.write(3, memoryview(b"\x07" * BLOCK))) == 0
    assert rig.read(namespace, 3, 1) == b"\x07" * BLOCK


class Bare:
    """Has the two verbs that one thinks of first."""

    block_bytes, block_count = BLOCK, 8

    def read(self, block: int, into: memoryview) -> None:
        into[:] = bytes(len(into))

    def write(self, block: int, data: object) -> None:
        pass


class Odd(Store):
    """Blocks with room for protection information."""

    block_bytes, block_count = 520, 8


class Empty(Store):
    """No blocks."""

    block_bytes, block_count = BLOCK, 0


class Fractional(Store):
    """As counted with 1e6."""

    block_bytes, block_count = BLOCK, 1e6  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (Bare(), "Bare is no store, it has no is_read_only"),
        (Odd(), "Odd has blocks of 520 bytes; use 512 or 4096"),
        (Empty(), "Empty has 0 blocks; that is a whole number, and one is the least"),
        (Fractional(), "Fractional has 1000000.0 blocks"),
    ],
)
def test_what_cannot_be_a_namespace_is_refused_in_one_line(store: Store, reason: str) -> None:
    with pytest.raises(LocalError) as caught:
        Subsystem(NQN).add_namespace(store)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)
