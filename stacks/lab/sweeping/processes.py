"""Runs on the cores of this machine, each in a process that keeps its own results."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import cast

from stacks.lab.results.keeping import Store
from stacks.lab.sweeping.jobs import Job, run_here
from stacks.runtime.errors import LocalError


class Processes:
    """So many processes; 1: the runs happen in this one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, jobs: Sequence[Job], store: Store) -> Iterator[int]:
        """Run and keep all of them; the numbers of those that are done, as they are. LocalError when a process dies."""
        if self.count == 1 or len(jobs) == 1:
            for job in jobs:
                yield run_here(job, store)
            return
        with _no_main_module():
            yield from self._run(jobs, store)

    def _run(self, jobs: Sequence[Job], store: Store) -> Iterator[int]:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(self.count, len(jobs)), mp_context=context, initializer=prepare_process)
        try:
            # Not all at once, so that an end in the middle leaves little behind.
            waiting: set[Future[int]] = set()
            for job in jobs:
                if len(waiting) >= 2 * self.count:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from _numbers(done)
                waiting.add(pool.submit(run_here, job, store))
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from _numbers(done)
        except BrokenProcessPool as error:
            raise LocalError(
                "a process that ran part of the sweep was ended (is there memory enough?); what is done is kept, "
                "and the same command goes on from there, with --processes 1 in one process"
            ) from error
        finally:
            # The only way to end runs before their end; and the pool's own thread has to be gone before the interpreter
            # ends, or that writes to what the thread has closed.
            processes = list((pool._processes or {}).values())  # noqa: SLF001
            manager = cast("threading.Thread | None", pool._executor_manager_thread)  # noqa: SLF001
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
            if manager is not None:
                manager.join(timeout=PATIENCE_S)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def prepare_process() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _numbers(done: set[Future[int]]) -> list[int]:
    return sorted(future.result() for future in done)


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Processes that are started inside do not run the program's file again, which may lack a guard against that."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


PATIENCE_S = 10
