"""A store that fails on purpose: errors and delays by rules, and power cuts that lose or tear what was not flushed.

    store = FaultyStore(open_store("disk.img"), [parse_fault("read:error=EIO,blocks=100..200")], has_cache=True)
    store.add(parse_fault("flush:delay=20ms,count=1"))
    store.power_cut()
    store.report()

Rules come and go while the store is in use. For each request they are asked in order: the first error that fires is
raised before the inner store is touched; delays add up. The cache of `has_cache` is a `VolatileStore`, in front of
which the rules stand. Blocks are shown (`view`) only where no rule is about reading them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE, WRITE_ZEROES, Store, StoreRequest
from stacks.nvme.stores.faults import ArmedFault, StoreFault
from stacks.nvme.stores.volatile import VolatileStore
from stacks.nvme.stores.wrapper import StoreWrapper
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class FaultCount:
    """What one rule did. number: from 1; text: the rule; matched: requests it is about; fired: faults."""

    number: int
    text: str
    matched: int
    fired: int


@dataclass(frozen=True, slots=True)
class StoreFaultReport:
    """What a faulty store did on purpose.

    rules: those it has now. errors, delays: how many, with those of rules that were cleared.
    power_cuts; dropped, torn: changes that these lost, and of which they left only some blocks.
    """

    rules: tuple[FaultCount, ...]
    errors: int
    delays: int
    power_cuts: int
    dropped: int
    torn: int


class FaultyStore(StoreWrapper):
    """`inner` with faults. inner: owned, and closed with this.

    rules: at first; has_cache: whether changes stay in a volatile cache until they are flushed.
    seed: of what a power cut does to each of them.
    """

    def __init__(
        self, inner: Store, rules: Iterable[StoreFault] = (), *, has_cache: bool = False, seed: int = 0
    ) -> None:
        self._cache = VolatileStore(inner, random.Random(seed)) if has_cache else None
        super().__init__(self._cache or inner)
        self.has_delays = True
        # Slow verbs run in a thread, and a rule counts both sides.
        self._lock = threading.Lock()
        self._armed: tuple[ArmedFault, ...] = ()
        self._errors = 0
        self._delays = 0
        self._power_cuts = 0
        for rule in rules:
            self.add(rule)

    def add(self, rule: StoreFault) -> None:
        """One more rule, behind the others."""
        self._armed = (*self._armed, ArmedFault(rule))

    def clear(self) -> None:
        """Forget all rules."""
        self._armed = ()

    def power_cut(self) -> None:
        """Lose what is in the cache: each change is dropped, or torn; the store then goes on, as after a start.

        LocalError when there is no cache.
        """
        if self._cache is None:
            raise LocalError("the store has no cache that a power cut could lose")
        self._power_cuts += 1
        self._cache.power_cut()

    def report(self) -> StoreFaultReport:
        """What happened on purpose so far."""
        rules = tuple(
            FaultCount(number, str(armed.rule), armed.matched, armed.fired)
            for number, armed in enumerate(self._armed, 1)
        )
        lost = (0, 0) if self._cache is None else (self._cache.dropped, self._cache.torn)
        return StoreFaultReport(rules, self._errors, self._delays, self._power_cuts, *lost)

    def read(self, block: int, into: memoryview) -> None:
        """Read, or fail."""
        if self._armed:
            self._fail(READ, block, len(into) // self.block_bytes)
        self.inner.read(block, into)

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write, or fail."""
        if self._armed:
            self._fail(WRITE, block, sum(map(len, data)) // self.block_bytes)
        self.inner.write(block, data)

    def flush(self) -> None:
        """Flush, or fail."""
        if self._armed:
            self._fail(FLUSH, 0, 0)
        self.inner.flush()

    def deallocate(self, block: int, blocks: int) -> None:
        """Deallocate, or fail."""
        if self._armed:
            self._fail(DEALLOCATE, block, blocks)
        self.inner.deallocate(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Write zeroes, or fail."""
        if self._armed:
            self._fail(WRITE_ZEROES, block, blocks)
        self.inner.write_zeroes(block, blocks)

    def view(self, block: int, blocks: int) -> memoryview | None:
        """The inner store's, where no rule is about reading these blocks."""
        if any(armed.rule.touches(READ, block, blocks) for armed in self._armed):
            return None
        return self.inner.view(block, blocks)

    def delay_ns(self, request: StoreRequest) -> int:
        """The sum of the delays that fire for the request, and for the flush that it brings."""
        delay_ns = self.inner.delay_ns(request)
        for armed in self._armed:
            if armed.rule.delay_ns and _is_about(armed.rule, request, self.block_bytes):
                with self._lock:
                    if armed.fires():
                        self._delays += 1
                        delay_ns += armed.rule.delay_ns
        return delay_ns

    def close(self) -> None:
        """Close the inner store; no rule gets in the way."""
        self._armed = ()
        super().close()

    def _fail(self, verb: int, block: int, blocks: int) -> None:
        for armed in self._armed:
            if armed.rule.error and armed.rule.touches(verb, block, blocks):
                with self._lock:
                    if armed.fires():
                        self._errors += 1
                        raise armed.error()


def _is_about(rule: StoreFault, request: StoreRequest, block_bytes: int) -> bool:
    verb, view = request.verb, request.view
    if request.is_fua and rule.touches(FLUSH, 0, 0):
        return True
    if verb == FLUSH:
        return rule.touches(verb, 0, 0)
    if verb == DEALLOCATE:
        return any(rule.touches(verb, block, blocks) for block, blocks in request.ranges)
    blocks = len(view) // block_bytes if view is not None and verb in (READ, WRITE) else request.blocks
    return rule.touches(verb, request.block, blocks)
