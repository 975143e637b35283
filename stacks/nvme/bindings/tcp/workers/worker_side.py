"""A worker's side of one port: the port's core with connections that the owner hands in, and its end of the channel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from stacks.nvme.bindings.tcp.agreement import Agreed
from stacks.nvme.bindings.tcp.patience import Debt
from stacks.nvme.bindings.tcp.served import ServedCommand, ServedConnection
from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig
from stacks.nvme.bindings.tcp.target_connection import TcpTargetConnection
from stacks.nvme.bindings.tcp.workers.board import Board
from stacks.nvme.bindings.tcp.workers.channel import CONNECTION, LENGTH, TAG, VALUE, Channel, Words
from stacks.nvme.bindings.tcp.workers.direct import DirectExecutor, Grant
from stacks.nvme.bindings.tcp.workers.grants import Terms
from stacks.nvme.bindings.tcp.workers.messages import Kind
from stacks.nvme.bindings.tcp.workers.worker_queue import WorkerQueue
from stacks.nvme.stores.sharing import SharedBlocks
from stacks.nvme.target import Target
from stacks.nvme.target.command import Command


class TcpWorker(TcpTarget):
    """A `StreamEndpoint` for the connections of one port that the owner hands in; its pump carries `channel` as well.

    board: where to count what is done here; config: the port's, as in the owner. executor: a service of the pump.
    """

    def __init__(self, board: Board, config: TcpTargetConfig | None = None) -> None:
        super().__init__(Target(), "", config=config)
        self.channel = WorkerChannel(self)
        self.executor = DirectExecutor(board, self.counters)
        self._shares: dict[int, SharedBlocks] = {}
        self._grants: dict[int, set[Grant]] = {}
        """Those that use each share."""

    def adopt(self, number: int, agreed: Agreed) -> WorkerConnection:
        """Go on with a connection that the owner handed over as `number`; call its `arrive` when it can be read."""
        queue = WorkerQueue(self.port, self.channel, number, agreed, self.executor)
        connection = WorkerConnection(self, queue, agreed)
        self.channel.connections[number] = connection
        self.add(connection)
        return connection

    def grant(self, number: int, terms: Terms, descriptors: Sequence[int]) -> None:
        """A connection may do I/O by itself. descriptors: of the blocks and their lock, ours from now on."""
        if terms.share in self._shares:
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            blocks, lock = descriptors
            self._shares[terms.share] = SharedBlocks(blocks, lock, block_bytes=terms.block_bytes)
            self._grants[terms.share] = set()
        connection = self.channel.connections.get(number)
        if connection is None:
            self._drop_unused(terms.share)
            return
        grant = Grant(
            terms.share,
            self._shares[terms.share],
            block_count=terms.block_count,
            can_write=terms.can_write,
            counts=self.executor.board.slot(terms.slot),
        )
        self._grants[terms.share].add(grant)
        before = connection.worker_queue.direct.grants.pop(terms.nsid, None)
        connection.worker_queue.direct.grants[terms.nsid] = grant
        if before is not None:
            self._end([before])

    def revoke(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Nothing is done under these grants, (connection, NSID), any more when this returns."""
        for number, nsid in pairs:
            connection = self.channel.connections.get(number)
            if connection is not None:
                self._end(connection.worker_queue.direct.revoke((nsid,)))

    def end_grants(self, queue: WorkerQueue) -> None:
        """A connection does nothing any more."""
        self._end(queue.direct.revoke(tuple(queue.direct.grants)))

    def _end(self, grants: Sequence[Grant]) -> None:
        self.executor.withdraw(grants)
        for grant in grants:
            self._grants[grant.share].discard(grant)
            self._drop_unused(grant.share)

    def _drop_unused(self, share: int) -> None:
        if not self._grants[share]:
            del self._grants[share]
            self._shares.pop(share).close()

    def ended(self, connection: ServedConnection, failure: str) -> None:
        """It is over; the owner is told."""
        super().ended(connection, failure)
        assert isinstance(connection, WorkerConnection)
        self.channel.ended(connection.number, failure)

    def poll_deadline(self) -> int | None:
        """As of every port; at once for what is to be done here."""
        return self.now if self.executor.pending else super().poll_deadline()

    def close_in_order(self, connection: WorkerConnection, now: int) -> None:
        """End a connection behind what it has to send."""
        self._end_in_order(connection, now)

    def abandon(self, connection: WorkerConnection) -> None:
        """End a connection at once."""
        connection.give_up()
        self.ended(connection, "")


class WorkerConnection(TcpTargetConnection):
    """A connection in a worker. number: its name on the channel."""

    def __init__(self, worker: TcpWorker, queue: WorkerQueue, agreed: Agreed) -> None:
        super().__init__(worker, agreed.remote, queue)
        self.number = queue.number
        self.worker_queue = queue
        self._channel = worker.channel
        self._told_ns = 0

    def command_of(self, tag: int) -> ServedCommand:
        """The command of that number."""
        return self._commands[tag]

    def debt(self, now: int) -> Debt | None:
        """What the host owes; the owner is told when it does something about it, since it waits for that too."""
        if self._fetching and self._now != self._told_ns:
            self._told_ns = self._now
            self._channel.moved(self.number)
        return super().debt(now)


class WorkerChannel(Channel):
    """A worker's end of the channel of one port."""

    def __init__(self, worker: TcpWorker) -> None:
        super().__init__(lambda: worker.touched(self))
        self.connections: dict[int, WorkerConnection] = {}
        self.is_lost = False
        self._worker = worker
        self._stopped: set[int] = set()
        self._now = 0

    def handle_ended(self, failure: str, now: int) -> None:  # noqa: ARG002 (there is nobody to tell)
        """The owner is gone, and with it whatever this process is for."""
        self.is_over = self.is_lost = True

    # To the owner

    def command(self, queue: WorkerQueue, command: Command) -> None:
        """A command, and the data of its capsule, which stays where it is until the answer."""
        self._send_entry(
            Kind.COMMAND,
            queue.number,
            _tag(command),
            command.words,
            value=command.data_bytes,
            data=command.capsule_data,
        )

    def refused(self, queue: WorkerQueue, command: Command, code: int, location: int | None) -> None:
        """A command that the binding cannot take."""
        at = 0 if location is None else location + 1
        self._send_entry(Kind.REFUSED, queue.number, _tag(command), command.words, code=code, location=at)

    def data(self, queue: WorkerQueue, command: Command, view: memoryview, sent: Callable[[], None]) -> None:
        """The data of a command that the owner asked for. sent: called when its memory is free again."""
        self._send(Kind.DATA, queue.number, _tag(command), data=view, sent=sent)

    def failed(self, queue: WorkerQueue, command: Command, code: int) -> None:
        """That data came damaged."""
        self.release(command)
        self._send(Kind.FAILED, queue.number, _tag(command), value=code)

    def release(self, command: Command) -> None:
        """Its memory is not needed: it brings no data."""
        command.view = None
        self._worker.port.give_back(command)

    def moved(self, number: int) -> None:
        """Some of what the host of a connection owes has come."""
        self._send(Kind.MOVED, number)

    def stop(self, queue: WorkerQueue) -> None:
        """A connection takes no more commands, and none of its memory."""
        self._worker.end_grants(queue)
        self._forget(queue.number)
        self._stopped.add(queue.number)
        self._send(Kind.STOPPED, queue.number)

    def ended(self, number: int, failure: str) -> None:
        """A connection is no more."""
        if self.connections.pop(number, None) is not None:
            self._stopped.discard(number)
            self._send(Kind.ENDED, number, data=failure.encode())

    # From the owner

    def _begun(self, now: int) -> None:
        self._now = self._worker.now = now

    def _room_for(self, message: Words) -> memoryview:
        connection = self._live(message[CONNECTION])
        if connection is None:
            return memoryview(bytearray(message[LENGTH]))
        command = connection.command_of(message[TAG])
        return connection.worker_queue.room_for(command, message[LENGTH])

    def _take(self, message: Words, data: memoryview | None) -> None:
        del data
        kind, connection = message[0], self.connections.get(message[CONNECTION])
        if connection is None:
            return
        if kind == Kind.GIVE_UP:
            self._worker.abandon(connection)
        elif message[CONNECTION] in self._stopped:
            return
        elif kind == Kind.RESPONSE:
            connection.worker_queue.respond(
                connection.command_of(message[TAG]),
                status_word=message[VALUE],
                dw0=message[5],
                dw1=message[6],
                length=message[LENGTH],
            )
        elif kind == Kind.FETCH:
            connection.worker_queue.fetch(connection.command_of(message[TAG]), message[VALUE])
        else:
            assert kind == Kind.CLOSE
            self._worker.close_in_order(connection, self._now)

    def _live(self, number: int) -> WorkerConnection | None:
        return None if number in self._stopped else self.connections.get(number)


def _tag(command: Command) -> int:
    assert isinstance(command, ServedCommand)
    return command.tag
