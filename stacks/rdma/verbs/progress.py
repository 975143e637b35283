"""A thread that makes passes while the program does something else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

from stacks.rdma.sync import Endpoint


class Lock(Protocol):
    """What it needs of a lock."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; False after `timeout` seconds."""

    def release(self) -> None:
        """Give it back."""


class Progress:
    """Makes passes of an endpoint, and of those beside it, from its making until `stop`.

    lock: whose holder may touch the devices. make_pass: called with it held; True when anything was done.
    """

    def __init__(self, endpoint: Endpoint, lock: Lock, make_pass: Callable[[], bool]) -> None:
        self._endpoint = endpoint
        self._lock = lock
        self._make_pass = make_pass
        self._is_stopping = False
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="verbs-progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and return when it no longer waits for a socket: only then is one that is closed really closed."""
        # In this order: the thread closes the file when it sees the flag.
        os.eventfd_write(self._wake_fd, 1)
        self._is_stopping = True
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping:
            did = self._pass()
            # What the garbage collector freed in a pass may have been the last context.
            if not did and not self._has_stopped():
                self._endpoint.wait(LONGEST_SLEEP_NS, wake_fd=self._wake_fd)
        os.close(self._wake_fd)

    def _has_stopped(self) -> bool:
        return self._is_stopping

    def _pass(self) -> bool:
        # Whoever calls `stop` may hold the lock, so it is not waited for without end.
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            return True
        try:
            return self._is_stopping or self._make_pass()
        finally:
            self._lock.release()


LONGEST_SLEEP_NS = 10_000_000
"""A sleeper does not see that another thread moved a deadline nearer, so it looks again after this."""
LOCK_SECONDS = 0.005
