"""Flush and FUA reach the medium: through the whole target, onto a file that loses what was not synced."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import FileStore
from tests.stacks.nvme.core_rig import CoreHost, connected, make_port, sqe
from tests.stacks.nvme.vanishing_file import VanishingFile
from wire.nvme.opcodes import AdminOpcode, FeatureId, IoOpcode

DATA = b"durable!" * 512
FUA = 1 << 14


@pytest.fixture
def file() -> VanishingFile:
    return VanishingFile(1 << 20)


@pytest.fixture
def hosts(file: VanishingFile) -> tuple[CoreHost, CoreHost]:
    return connected(make_port(FileStore(file)))


def stored(io: CoreHost) -> bool:
    return io.io(IoOpcode.READ, 3, 1, expect=4096).data == DATA


def test_a_plain_write_may_be_lost_at_a_power_cut(file: VanishingFile, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    assert io.io(IoOpcode.WRITE, 3, 1, data=DATA).status == 0
    assert stored(io)
    file.power_cut()
    assert not stored(io)


def test_a_flushed_write_survives_a_power_cut(file: VanishingFile, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    assert io.do(sqe(IoOpcode.FLUSH, nsid=1)).status == 0
    file.power_cut()
    assert stored(io)


def test_a_write_with_fua_survives_a_power_cut(file: VanishingFile, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    assert io.io(IoOpcode.WRITE, 3, 1, data=DATA, control=FUA).status == 0
    file.power_cut()
    assert stored(io)


def test_zeroes_written_with_fua_survive_a_power_cut(file: VanishingFile, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA, control=FUA)
    assert io.io(IoOpcode.WRITE_ZEROES, 3, 1, control=FUA).status == 0
    file.power_cut()
    assert io.io(IoOpcode.READ, 3, 1, expect=4096).data == bytes(4096)


def test_every_write_survives_while_the_write_cache_is_off(
    file: VanishingFile, hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, io = hosts
    feature = sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE, cdw11=0)
    assert admin.do(feature).status == 0
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    file.power_cut()
    assert stored(io)


def test_reads_and_plain_writes_do_not_wait_for_the_medium(
    file: VanishingFile, hosts: tuple[CoreHost, CoreHost]
) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    stored(io)
    assert file.syncs == 0
