"""The way to the medium in earnest: a real file under a whole target, with the operating system's calls observed.

These fail when a call of fdatasync is left out, or comes before the write that it is for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stacks.nvme.stores import FileStore, create_image, open_image
from tests.stacks.nvme.core_rig import SHUT_DOWN_NORMAL, CoreHost, connected, make_port, sqe
from tests.stacks.nvme.vanishing_file import VanishingFile
from wire.nvme.opcodes import AdminOpcode, FeatureId, IoOpcode
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode

FUA = 1 << 14
DATA = (b"to the medium, please" * 512)[:4096]


class SystemCalls:
    """What was asked of the operating system for one file, in order; the calls themselves are done."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.error = 0
        self._file = path.stat()
        for name in ("pwritev", "fdatasync"):
            monkeypatch.setattr(os, name, self._observed(name, getattr(os, name)))

    def _observed(self, name: str, call: Callable[..., int | None]) -> Callable[..., int | None]:
        def observed(descriptor: int, *arguments: object) -> int | None:
            if os.path.samestat(os.fstat(descriptor), self._file):
                self.names.append(name)
                if self.error and name == "fdatasync":
                    number, self.error = self.error, 0
                    raise OSError(number, os.strerror(number))
            return call(descriptor, *arguments)

        return observed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    create_image(str(path), 1 << 20)
    return path


@pytest.fixture
def calls(path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemCalls:
    return SystemCalls(path, monkeypatch)


@pytest.fixture
def hosts(path: Path) -> tuple[CoreHost, CoreHost]:
    return connected(make_port(open_image(str(path))))


def test_a_plain_write_is_only_written(calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]) -> None:
    hosts[1].io(IoOpcode.WRITE, 3, 1, data=DATA)
    assert calls.names == ["pwritev"]


def test_flush_calls_fdatasync_before_it_completes(calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    assert io.do(sqe(IoOpcode.FLUSH, nsid=1)).status == 0
    assert calls.names == ["pwritev", "fdatasync"]


@pytest.mark.parametrize("in_capsule", [False, True])
def test_a_write_with_fua_is_followed_by_fdatasync(
    calls: SystemCalls, hosts: tuple[CoreHost, CoreHost], in_capsule: bool
) -> None:
    assert hosts[1].io(IoOpcode.WRITE, 3, 1, data=DATA, control=FUA, in_capsule=in_capsule).status == 0
    assert calls.names == ["pwritev", "fdatasync"]


def test_a_read_with_fua_commits_what_was_cached(calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    assert io.io(IoOpcode.READ, 3, 1, expect=4096).data == DATA
    assert calls.names == ["pwritev"]
    assert io.io(IoOpcode.READ, 3, 1, expect=4096, control=FUA).data == DATA
    assert calls.names == ["pwritev", "fdatasync"]
    io.io(IoOpcode.READ, 3, 1, expect=4096)
    assert calls.names == ["pwritev", "fdatasync"]


def test_without_a_write_cache_every_write_is_followed_by_fdatasync(
    calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, io = hosts
    admin.do(sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.VOLATILE_WRITE_CACHE))
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    assert calls.names == ["fdatasync", "pwritev", "fdatasync"]


def test_a_shutdown_is_preceded_by_fdatasync(calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    admin.set_property(PropertyOffset.CC, SHUT_DOWN_NORMAL)
    assert calls.names == ["pwritev", "fdatasync"]


def test_closing_an_image_calls_fdatasync(path: Path, calls: SystemCalls) -> None:
    open_image(str(path)).close()
    assert calls.names == ["fdatasync"]


def test_an_fdatasync_that_failed_once_is_remembered_until_the_image_is_opened_again(
    path: Path, calls: SystemCalls, hosts: tuple[CoreHost, CoreHost]
) -> None:
    _, io = hosts
    io.io(IoOpcode.WRITE, 3, 1, data=DATA)
    calls.error = errno.EIO
    assert io.do(sqe(IoOpcode.FLUSH, nsid=1)).status == StatusCode.WRITE_FAULT
    assert io.do(sqe(IoOpcode.FLUSH, nsid=1)).status == StatusCode.WRITE_FAULT
    assert io.io(IoOpcode.WRITE, 4, 1, data=DATA, control=FUA).status == StatusCode.WRITE_FAULT
    assert io.io(IoOpcode.READ, 3, 1, expect=4096).data == DATA
    store = io.port.target.subsystems["nqn.2026-11.io.baremetal:disk"].namespaces[1].store
    with pytest.raises(OSError, match="lost earlier"):
        store.close()
    again = open_image(str(path))
    again.write(0, [memoryview(DATA)])
    again.flush()


class FailingFile(VanishingFile):
    """A file layer whose sync fails once, with everything unsynced forgotten, as Linux does; or takes no more."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.is_failing = False
        self.is_full = False

    def sync(self) -> None:
        """Sync, or lose."""
        if self.is_failing:
            self.is_failing = False
            self.power_cut()
            raise OSError(errno.ENOSPC, "no")
        super().sync()

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """Write, or take nothing."""
        return 0 if self.is_full else super().write_from(offset, data)


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.write(0, [memoryview(DATA)]),
        lambda store: store.write_zeroes(0, 1),
        lambda store: store.deallocate(0, 1),
        lambda store: store.flush(),
        lambda store: store.close(),
    ],
    ids=["write", "write_zeroes", "deallocate", "flush", "close"],
)
def test_after_a_failed_sync_no_change_is_taken(change: Callable[[FileStore], None]) -> None:
    file = FailingFile(1 << 20)
    store = FileStore(file)
    store.write(0, [memoryview(DATA)])
    file.is_failing = True
    with pytest.raises(OSError, match="no"):
        store.flush()
    for _ in range(2):
        with pytest.raises(OSError, match="lost earlier") as caught:
            change(store)
        assert caught.value.errno == errno.ENOSPC
    store.read(0, memoryview(bytearray(4096)))
    assert file.syncs == 0


def test_a_file_that_takes_no_bytes_is_an_error_and_not_a_loop() -> None:
    file = FailingFile(1 << 20)
    store = FileStore(file)
    file.is_full = True
    with pytest.raises(OSError, match="takes no more") as caught:
        store.write(0, [memoryview(DATA)])
    assert caught.value.errno == errno.EIO


def test_a_closed_image_does_not_touch_who_has_its_descriptor_next(path: Path, tmp_path: Path) -> None:
    store = open_image(str(path))
    store.close()
    with (tmp_path / "other").open("wb+") as other:
        with pytest.raises(OSError, match="Bad file descriptor"):
            store.write(0, [memoryview(DATA)])
        assert os.fstat(other.fileno()).st_size == 0
