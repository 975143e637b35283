"""A store that other processes have as well: what they open it with, and the lock that keeps blocks whole.

    share = store.share()      in the process that has the store; None where that cannot be
    SharedBlocks(...)          in another, from the share's descriptors

Only what lies in one file can be shared, and memory is a file then. Whoever shares a store is told when that is over:
before the store is resized or closed, or refuses changes (`recall`).

A file system does not keep a read and a write of the same block apart, so whoever moves blocks holds a lock: reads
together, a write alone. It is an open file description lock on a file of its own, which the system takes off a process
that dies.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable, Sequence

from stacks.nvme.stores.contract import READ
from stacks.nvme.stores.file_layer import CLOSED, OsFile, write_rest


class BlockLock:
    """A lock between processes, over all blocks of a store. descriptor: a file that all of them have, owned.

    It is two: whoever waits for the blocks holds the gate, so that those who come later, and share the blocks with
    those that have them, do not keep a write waiting for ever.

    on_stuck: called when somebody has kept it for `stuck_s` seconds, to end whoever that may be; empty to go on
    waiting.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.on_stuck: list[Callable[[], None]] = []
        self.stuck_s = STUCK_S
        self._files: dict[int, int] = {}
        """A description for each thread, since a lock belongs to one."""

    def take(self, verb: int) -> None:
        """Wait for the right to run a verb."""
        gate, blocks = _SHARED if verb == READ else _ALONE
        file = self._file()
        self._lock(file, gate)
        self._lock(file, blocks)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _OPEN_GATE)

    def release(self) -> None:
        """The verb is done."""
        fcntl.fcntl(self._file(), fcntl.F_OFD_SETLK, _RELEASE)

    def close(self) -> None:
        """Give up the file; idempotent, and done for whoever forgets the lock."""
        files, self._files, self.descriptor = [*self._files.values(), self.descriptor], {}, CLOSED
        for file in files:
            if file != CLOSED:
                os.close(file)

    def __del__(self) -> None:
        # A share that is recalled may still be in use by a verb that runs in a thread.
        self.close()

    def _file(self) -> int:
        thread = threading.get_ident()
        file = self._files.get(thread)
        if file is None:
            file = self._files[thread] = os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDWR | os.O_CLOEXEC)
        return file

    def _lock(self, file: int, wanted: bytes) -> None:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError:
            self._wait(file, wanted)

    def _wait(self, file: int, wanted: bytes) -> None:
        if self.on_stuck:
            deadline = time.monotonic() + self.stuck_s
            while time.monotonic() < deadline:
                time.sleep(LOOK_S)
                try:
                    fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
                except BlockingIOError:
                    continue
                return
            for end in self.on_stuck:
                end()
        fcntl.fcntl(file, fcntl.F_OFD_SETLKW, wanted)


class Share:
    """A store that other processes may have. descriptor: of the file that the blocks lie in, from its beginning on.

    lock: taken around whatever reads or changes blocks, here and there.
    on_recall: called when nobody else may have the store any more, and returns when nobody has.
    """

    def __init__(self, descriptor: int, *, block_bytes: int) -> None:
        self.descriptor = descriptor
        self.block_bytes = block_bytes
        self.lock = BlockLock(os.memfd_create("baremetal-lock", os.MFD_CLOEXEC))
        self.is_recalled = False
        self.on_recall: list[Callable[[], None]] = []

    def recall(self) -> None:
        """Return when no other process has the store any more."""
        if self.is_recalled:
            return
        self.is_recalled = True
        for recall in self.on_recall:
            recall()


class SharedBlocks:
    """A store of another process. descriptor, lock: received from it, and ours to close; block_bytes: as there."""

    def __init__(self, descriptor: int, lock: int, *, block_bytes: int) -> None:
        self.block_bytes = block_bytes
        self.lock = BlockLock(lock)
        self._descriptor = descriptor
        self._layer = OsFile(descriptor)

    def read(self, block: int, into: memoryview) -> bool:
        """Read blocks, the lock being held; False when that failed, for whatever reason."""
        try:
            return self._layer.read_into(block * self.block_bytes, into) == len(into)
        except OSError:
            return False

    def write(self, block: int, data: Sequence[memoryview]) -> bool:
        """Write blocks, the lock being held; False when that failed, and an unknown part of them is written."""
        try:
            write_rest(self._layer, block * self.block_bytes, data, 0)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the store."""
        self.lock.close()
        self._layer.close()


def _flock(kind: int, start: int) -> bytes:
    # struct flock of Linux: type, whence, start, length, process; as wide as the machine has it.
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0)


GATE, BLOCKS = 0, 1
"""Bytes of the file that stand for the two locks."""
_SHARED, _ALONE = (tuple(_flock(kind, at) for at in (GATE, BLOCKS)) for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK))
_OPEN_GATE, _RELEASE = _flock(fcntl.F_UNLCK, GATE), _flock(fcntl.F_UNLCK, BLOCKS)
STUCK_S = 5.0
"""How long somebody may keep the lock who does nothing else with it than move a few blocks."""
LOOK_S = 50e-6
