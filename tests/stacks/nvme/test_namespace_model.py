"""A namespace through two hosts, both bindings and a target in virtual time, against what its blocks may hold.

Many commands are under way at once; some are aborted, and the namespace is made smaller and larger meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from stacks.nvme.host import HostNamespace, Transfer
from stacks.nvme.host.command import HostCommand, abort
from stacks.nvme.stores import FaultyStore, MemoryStore, parse_fault
from stacks.nvme.target import copy, pieces
from tests.stacks.nvme.blocks_account import BAD, SMALL, BlocksAccount, Operation, Span, content
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.tcp_rig import TcpRig

BLOCKS_MIN, BLOCKS_MAX = 24, 64
DEPTH = 24
DELAYS = ("any:delay=40us,probability=0.3,seed=1", "write:delay=300us,probability=0.1,seed=2")

hosts = st.integers(0, 1)
values = st.integers(1, 1000)
spans = st.tuples(st.integers(0, BLOCKS_MAX - 1), st.integers(1, 12))
few_spans = st.lists(spans, min_size=1, max_size=3)


class NamespaceMachine(RuleBasedStateMachine):
    """account: what blocks may hold; under_way: operations that are not over, in the order in which they began.

    outcomes: how operations ended, over all runs of the machine.
    """

    make: Callable[..., TcpRig | RdmaRig]
    outcomes: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.store = FaultyStore(MemoryStore(BLOCKS_MAX * SMALL, block_bytes=SMALL), map(parse_fault, DELAYS))
        self.rig = type(self).make(self.store)
        self.namespaces: list[HostNamespace] = [self.rig.namespace(keep_alive_ms=0) for _ in range(2)]
        numbers = range(10_000, 10_000 + BLOCKS_MAX)
        self.store.write(0, [memoryview(content(numbers))])
        self.account = BlocksAccount(numbers)
        self.under_way: dict[Operation, Transfer] = {}

    # Operations

    def begin(self, operation: Operation, start: Callable[..., Transfer], into: bytearray | None = None) -> None:
        """Wait for those that touch the same blocks, and begin."""
        self.finish([other for other in self.under_way if other.touches(operation)])
        self.finish(list(self.under_way)[: max(0, len(self.under_way) - DEPTH)])
        self.under_way[operation] = start(done=partial(self.ended, operation, into))

    def ended(self, operation: Operation, into: bytearray | None, transfer: Transfer) -> None:
        assert not transfer.ending
        del self.under_way[operation]
        how = "" if not operation.is_cut else " while the namespace shrank"
        self.outcomes[f"{operation.name}: {transfer.status:#x}{how}"] += 1
        self.account.ended(operation, transfer.status, bytes(into or b""))

    def finish(self, operations: list[Operation]) -> None:
        self.rig.run_until(lambda: not any(each in self.under_way for each in operations))

    def fitting(self, span: Span) -> Span:
        """Where a span lies in the namespace of now."""
        block = span[0] % len(self.account.blocks)
        return block, min(span[1], len(self.account.blocks) - block)

    @rule(host=hosts, span=spans, value=values, is_fua=st.booleans())
    def write(self, host: int, span: Span, value: int, is_fua: bool) -> None:
        block, blocks = span = self.fitting(span)
        numbers = [value + index for index in range(blocks)]
        start = partial(self.namespaces[host].write, block, memoryview(content(numbers)), is_fua=is_fua)
        self.begin(Operation("write", writes=[span], values=numbers), start)

    @rule(host=hosts, span=spans)
    def read(self, host: int, span: Span) -> None:
        block, blocks = span = self.fitting(span)
        into = bytearray(blocks * SMALL)
        self.begin(Operation("read", reads=[span]), partial(self.namespaces[host].read, block, memoryview(into)), into)

    @rule(host=hosts, span=spans)
    def write_zeroes(self, host: int, span: Span) -> None:
        span = self.fitting(span)
        operation = Operation("write zeroes", writes=[span], values=[0] * span[1])
        self.begin(operation, partial(self.namespaces[host].write_zeroes, *span))

    @rule(host=hosts, block=st.integers(0, BLOCKS_MAX - 1))
    def write_uncorrectable(self, host: int, block: int) -> None:
        span = self.fitting((block, 1))
        operation = Operation("write uncorrectable", writes=[span], values=[BAD])
        self.begin(operation, partial(self.namespaces[host].write_uncorrectable, *span))

    @rule(host=hosts, parts=few_spans)
    def deallocate(self, host: int, parts: list[Span]) -> None:
        parts = [self.fitting(part) for part in parts]
        operation = Operation("deallocate", writes=parts, values=[0] * sum(blocks for _, blocks in parts))
        self.begin(operation, partial(self.namespaces[host].deallocate, parts))

    @rule(host=hosts, span=spans)
    def verify(self, host: int, span: Span) -> None:
        span = self.fitting(span)
        self.begin(Operation("verify", reads=[span]), partial(self.namespaces[host].verify, *span))

    @rule(host=hosts, parts=few_spans, shift=st.integers(-8, 8))
    def copy(self, host: int, parts: list[Span], shift: int) -> None:
        parts = [self.fitting(part) for part in parts]
        total = sum(blocks for _, blocks in parts)
        room = len(self.account.blocks) - total
        if room < 0:
            return
        # Mostly such that source and destination overlap.
        to = min(max(0, parts[0][0] + shift), room)
        operation = Operation("copy", reads=parts, writes=[(to, total)])
        self.begin(operation, partial(self.namespaces[host].copy, to, parts))

    @rule(host=hosts, span=spans, is_right=st.booleans())
    def compare(self, host: int, span: Span, is_right: bool) -> None:
        span = self.fitting(span)
        self.finish([other for other in self.under_way if other.touches(Operation("", reads=[span]))])
        guess = self.guess(span, is_right=is_right)
        start = partial(self.namespaces[host].compare, span[0], memoryview(content(guess)))
        self.begin(Operation("compare", reads=[span], guess=guess), start)

    @rule(host=hosts, span=spans, is_right=st.booleans(), value=values)
    def compare_and_write(self, host: int, span: Span, is_right: bool, value: int) -> None:
        span = self.fitting(span)
        self.finish([other for other in self.under_way if other.touches(Operation("", reads=[span]))])
        guess, numbers = self.guess(span, is_right=is_right), [value + index for index in range(span[1])]
        start = partial(
            self.namespaces[host].compare_and_write,
            span[0],
            memoryview(content(guess)),
            memoryview(content(numbers)),
        )
        operation = Operation("compare and write", reads=[span], writes=[span], values=numbers, guess=guess)
        self.begin(operation, start)

    def guess(self, span: Span, *, is_right: bool) -> list[int]:
        numbers = self.account.guess(span)
        return numbers if is_right else [*numbers[:-1], numbers[-1] + 7000]

    @rule(host=hosts)
    def flush(self, host: int) -> None:
        self.begin(Operation("flush"), self.namespaces[host].flush)

    # What happens to them

    @rule(microseconds=st.integers(0, 400))
    def time_passes(self, microseconds: int) -> None:
        self.rig.run_for(microseconds * 1000)

    @precondition(lambda self: self.under_way)
    @rule(host=hosts, which=st.integers(0, DEPTH))
    def abort(self, host: int, which: int) -> None:
        controller = self.rig.initiator.hosts[host]
        commands = controller.io_queues[0].commands_in_flight()
        if commands:
            for operation in self.under_way:
                operation.may_abort = True
            command = abort(commands[which % len(commands)])
            command.done = self.aborted
            controller.submit_admin(command, self.rig.simulation.now)
            self.rig.run_for(0)

    def aborted(self, command: HostCommand) -> None:
        assert command.status == 0
        self.outcomes[f"abort: {command.dw0}"] += 1

    @rule(blocks=st.integers(BLOCKS_MIN, BLOCKS_MAX))
    def resize(self, blocks: int) -> None:
        self.finish([operation for operation in self.under_way if operation.is_cut])
        self.store.resize(blocks * SMALL, may_shrink=True)
        self.rig.subsystem.resize_namespace(1)
        self.account.resize(blocks, self.under_way)
        self.rig.run_until(lambda: all(namespace.block_count == blocks for namespace in self.namespaces))

    def teardown(self) -> None:
        self.finish(list(self.under_way))
        for namespace in self.namespaces:
            for block in range(len(self.account.blocks)):
                into = bytearray(SMALL)
                operation = Operation("read", reads=[(block, 1)])
                self.begin(operation, partial(namespace.read, block, memoryview(into)), into)
        self.finish(list(self.under_way))
        queues = [queue for host in self.rig.initiator.hosts for queue in host.io_queues]
        assert [queue.in_flight for queue in queues] == [0, 0]
        assert self.rig.target.line.exclusions.active == []
        assert all(host.is_live for host in self.rig.initiator.hosts)


def over_tcp(store: FaultyStore) -> TcpRig:
    return TcpRig(store)


def over_rdma(store: FaultyStore) -> RdmaRig:
    return RdmaRig(store)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (copy, pieces):
        monkeypatch.setattr(module, "PIECE_BYTES", 2 * SMALL)


def run_model(make: Callable[[FaultyStore], TcpRig | RdmaRig], *, examples: int, steps: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    machine = type("Machine", (NamespaceMachine,), {"make": staticmethod(make), "outcomes": outcomes})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("make", [over_tcp, over_rdma])
def test_blocks_hold_what_they_may_over_a_thousand_steps(make: Callable[[FaultyStore], TcpRig | RdmaRig]) -> None:
    outcomes = run_model(make, examples=20, steps=50)
    assert set(outcomes) >= SUCCESSES
    # Whichever commands it is that they befall.
    for ending in ("0x281", "0x285", "0x80 while the namespace shrank"):
        assert any(outcome.endswith(ending) for outcome in outcomes), ending
    assert any(outcome.startswith("abort") for outcome in outcomes)


@pytest.mark.long
@pytest.mark.parametrize("make", [over_tcp, over_rdma])
def test_blocks_hold_what_they_may_over_25_000_steps(make: Callable[[FaultyStore], TcpRig | RdmaRig]) -> None:
    outcomes = run_model(make, examples=250, steps=100)
    assert set(outcomes) >= SUCCESSES | FAILURES


NAMES = (
    "read", "write", "write zeroes", "write uncorrectable", "deallocate", "verify", "copy", "compare",
    "compare and write", "flush",
)  # fmt: skip
SUCCESSES = {f"{name}: 0x0" for name in NAMES}
FAILURES = {
    "abort: 0",
    "abort: 1",
    "copy: 0x7",
    *(f"{name}: 0x281" for name in ("read", "verify", "copy", "compare", "compare and write")),
    *(f"{name}: 0x285" for name in ("compare", "compare and write")),
    *(f"{name}: 0x80 while the namespace shrank" for name in ("write", "copy", "deallocate", "compare and write")),
}
"""What has to have happened: unreadable blocks, differences, ends that were cut off, and an Abort that came in time."""
