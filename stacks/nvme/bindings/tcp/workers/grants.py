"""What workers may do by themselves: the owner's side.

    rules       a queue may read a namespace while they hold (`Grants.right_of`)
    changed     something that they depend on is different: what may not be any more is revoked before anything else
                happens, and what may be is granted a little later
    collect     what was done is added to the namespace's counts, and to the controller's traffic

Revoking returns when no worker does anything under the old rules; one that does not answer is killed first. So whatever
changes a rule needs only say so (`Target.access_changed`), before it tells a host.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetCounters
from stacks.nvme.bindings.tcp.workers.board import BYTES_READ, BYTES_WRITTEN, READS, WRITES, Board
from stacks.nvme.bindings.tcp.workers.direct import add_counts, counts_of
from stacks.nvme.bindings.tcp.workers.owner_side import ForwardedConnection
from stacks.nvme.stores.sharing import Share
from stacks.nvme.target import Namespace, Queue, QueueState
from transports.errors import TransportError


class Right(IntEnum):
    """What a queue may do with a namespace by itself."""

    NOTHING = 0
    READ = 1
    WRITE = 2
    """And read."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A grant, as a worker is told of it. share: number of what holds the blocks; slot: where it counts."""

    nsid: int
    share: int
    block_bytes: int
    block_count: int
    can_write: bool
    slot: int


class GrantedWorker(Protocol):
    """A worker, as far as grants go. board: where it counts what it does."""

    board: Board

    def grant(self, number: int, terms: Terms, share: Share) -> None:
        """Let a connection do I/O. TransportError when the worker does not answer; it is dead then."""

    def revoke(self, pairs: Sequence[tuple[int, int]]) -> None:
        """End grants, (connection, NSID), and return when nothing is done under them; TransportError as above."""

    def kill(self) -> None:
        """End it, and return when it is no more."""


class _Granted:
    """A grant that stands. counted: what of its slot is in the namespace's counts."""

    def __init__(
        self, worker: GrantedWorker, connection: ForwardedConnection, namespace: Namespace, share: Share, slot: int
    ) -> None:
        self.worker = worker
        self.connection = connection
        self.namespace = namespace
        self.share = share
        self.slot = slot
        self.right = Right.NOTHING
        self.counted = [0, 0, 0, 0]


class _Seen:
    """What of a worker's board is counted."""

    def __init__(self, board: Board) -> None:
        self._busy_ns = board.busy_ns
        self._counts = [0] * PORT_COUNTS

    def collect(self, board: Board, binding: TcpTarget) -> int:
        """Count what is new; how long the worker was busy since the last time."""
        busy_ns, self._busy_ns = board.busy_ns - self._busy_ns, board.busy_ns
        counts, before = board.port_counts(PORT_COUNTS), self._counts
        if counts != before:
            self._counts = counts
            add_counts(binding.counters, [now - then for now, then in zip(counts, before, strict=True)])
        return busy_ns


class Grants:
    """The grants of the connections of one port, `binding`, whose workers have them; and what those have done."""

    def __init__(self, binding: TcpTarget) -> None:
        self._binding = binding
        self._target = target = binding.target
        self._connections: dict[ForwardedConnection, GrantedWorker] = {}
        self._granted: dict[tuple[ForwardedConnection, int], _Granted] = {}
        self._shares: dict[Share, int] = {}
        self._shares_made = 0
        self._workers: dict[GrantedWorker, _Seen] = {}
        self._is_armed = False
        self._thread = threading.get_ident()
        target.on_access_changed.append(self.changed)
        target.on_collect.append(self.collect)

    @property
    def rights(self) -> list[Right]:
        """Of every grant that stands."""
        return [each.right for each in self._granted.values()]

    @property
    def connections(self) -> list[ForwardedConnection]:
        """Those that workers have."""
        return list(self._connections)

    def close(self) -> None:
        """The port is gone: nobody has a right any more."""
        self._revoke(list(self._granted.values()))
        self._connections.clear()
        self._target.on_access_changed.remove(self.changed)
        self._target.on_collect.remove(self.collect)
        self._target.cancel(self)

    def add(self, connection: ForwardedConnection, worker: GrantedWorker) -> None:
        """A worker has a connection from now on."""
        self._connections[connection] = worker
        self._workers.setdefault(worker, _Seen(worker.board))
        self._grant_all()

    def changed(self) -> None:
        """Revoke what may not be any more, and look later for what may; in the thread of the event loop."""
        assert threading.get_ident() == self._thread
        self._revoke([each for each in self._granted.values() if self._right_now(each) < each.right])
        for connection in [each for each in self._connections if each.is_gone]:
            del self._connections[connection]
        if self._connections and not self._is_armed:
            self._is_armed = True
            self._target.arm(self, GRANT_DELAY_NS)

    def forget(self, worker: GrantedWorker) -> None:
        """It is dead, and everything that it did is counted."""
        self.collect()
        self._workers.pop(worker, None)

    def handle_deadline(self) -> None:
        """It is time to look for what may be granted."""
        self._is_armed = False
        self._grant_all()

    def collect(self) -> None:
        """Add what was done to the counts."""
        busy_ns = {worker: seen.collect(worker.board, self._binding) for worker, seen in self._workers.items()}
        for each in self._granted.values():
            controller = each.connection.queue.controller
            if self._collect(each) and controller is not None:
                controller.subsystem.busy_time.add_elsewhere(busy_ns[each.worker])

    def right_of(self, queue: Queue, namespace: Namespace) -> Right:
        """What the rules let a queue do with a namespace by itself, if its store can be shared."""
        controller, nsid = queue.controller, namespace.nsid
        if queue.state is not QueueState.LIVE or queue.is_stopped or controller is None or not controller.is_ready:
            return Right.NOTHING
        is_plain = not namespace.reservations.state.registrants and namespace.uncorrectable is None
        has_claim = self._target.line.exclusions.has_claim_on(namespace.store)
        if queue.readable.get(nsid) is not namespace or not is_plain or has_claim:
            return Right.NOTHING
        is_written = queue.writable.get(nsid) is namespace and not namespace.store.is_read_only
        return Right.WRITE if is_written and controller.features.has_write_cache else Right.READ

    def _right_now(self, granted: _Granted) -> Right:
        if granted.share.is_recalled or granted.namespace.store.share() is not granted.share:
            return Right.NOTHING
        return self.right_of(granted.connection.queue, granted.namespace)

    def _revoke(self, granted: Sequence[_Granted]) -> None:
        for worker in {each.worker: None for each in granted}:
            ended = [each for each in granted if each.worker is worker]
            with contextlib.suppress(TransportError):  # it is dead then, which is as good
                worker.revoke([(each.connection.number, each.namespace.nsid) for each in ended])
            for each in ended:
                self._end(each)

    def _grant_all(self) -> None:
        for connection, worker in list(self._connections.items()):
            for namespace in list(connection.queue.readable.values()):
                granted = self._granted.get((connection, namespace.nsid))
                right = self.right_of(connection.queue, namespace)
                if right > (Right.NOTHING if granted is None else granted.right):
                    self._grant(connection, worker, namespace, right)

    def _grant(
        self, connection: ForwardedConnection, worker: GrantedWorker, namespace: Namespace, right: Right
    ) -> None:
        share = _share_of(namespace)
        key = (connection, namespace.nsid)
        granted = self._granted.get(key)
        if share is None:
            return
        if granted is None:
            slot = worker.board.take_slot()
            if not slot:
                return
            granted = self._granted[key] = _Granted(worker, connection, namespace, share, slot)
        terms = Terms(
            nsid=namespace.nsid,
            share=self._number_of(share),
            block_bytes=namespace.block_bytes,
            block_count=namespace.block_count,
            can_write=right is Right.WRITE,
            slot=granted.slot,
        )
        granted.right = right
        try:
            worker.grant(connection.number, terms, share)
        except TransportError:
            self._end(granted)

    def _number_of(self, share: Share) -> int:
        number = self._shares.get(share)
        if number is None:
            self._shares = {each: number for each, number in self._shares.items() if not each.is_recalled}
            self._shares_made += 1
            number = self._shares[share] = self._shares_made
            share.on_recall.append(self.changed)
            share.lock.on_stuck.append(self._kill_all)
        return number

    def _kill_all(self) -> None:
        for worker in set(self._connections.values()):
            worker.kill()

    def _end(self, granted: _Granted) -> None:
        self._collect(granted)
        del self._granted[granted.connection, granted.namespace.nsid]
        granted.worker.board.free_slot(granted.slot)

    def _collect(self, granted: _Granted) -> bool:
        counts = granted.worker.board.counts(granted.slot)
        if counts == granted.counted:
            return False
        more = [now - before for now, before in zip(counts, granted.counted, strict=True)]
        granted.counted = counts
        namespace, controller = granted.namespace, granted.connection.queue.controller
        namespace.reads += more[READS]
        namespace.writes += more[WRITES]
        namespace.bytes_read += more[BYTES_READ]
        namespace.bytes_written += more[BYTES_WRITTEN]
        if controller is not None:
            controller.has_traffic = True
        return True


def _share_of(namespace: Namespace) -> Share | None:
    """None also where files or memory for it have run out: then everything is forwarded."""
    try:
        return namespace.store.share()
    except OSError:
        return None


PORT_COUNTS = len(counts_of(TcpTargetCounters()))
GRANT_DELAY_NS = 10_000_000
"""How long after a change it is looked for what may be granted: exclusions, such as those of fused commands, come in
rows."""
