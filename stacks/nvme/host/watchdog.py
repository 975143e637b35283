"""What a host does about silence: keep-alive, commands without an answer, a beginning that leads nowhere.

    connecting takes too long              -> the association fails
    a Keep Alive without an answer in KATO -> the association fails
    an admin command without an answer     -> the association fails
    an I/O command without an answer       -> Abort; without an answer after that, too, the association fails
    an ANA group in Change for too long    -> the association fails

A failed association is dropped and made anew by the policy above (`path`), which is the reset of a fabrics controller.
Linux aborts on PCIe and resets at once over fabrics; one slow command need not cost all the others their connection.
Follows NVM Express Base 2.0 3.9 (keep alive), 5.1 (Abort).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.host.command import HostCommand, abort
from stacks.nvme.host.queue import JUST_NOW, HostQueue
from stacks.nvme.host.script import Script
from stacks.runtime import Timers
from wire.nvme.opcodes import AdminOpcode
from wire.nvme.status import status_text

if TYPE_CHECKING:
    from stacks.nvme.host.controller import HostController


class Watch(enum.IntEnum):
    """What is waited for."""

    CONNECTING = 0
    """The association has to be live by then."""
    KEEP_ALIVE = 1
    """Send a Keep Alive, or see whether the last one was answered."""
    COMMAND = 2
    """Look for commands without an answer."""
    ANA_TRANSITION = 3
    """ANA groups have to have left Change by then."""


class Watchdog:
    """The watch over one association.

    timers: the association's; fail: ends the association, with the reason.
    aborts: Abort commands sent.
    """

    def __init__(
        self, host: HostController, timers: Timers[Watch | Script], fail: Callable[[str], None]
    ) -> None:
        self.aborts = 0
        self._host = host
        self._arm = timers.arm
        self._cancel = timers.cancel
        self._is_armed = timers.is_armed
        self._fail = fail
        self._keep_alive: HostCommand | None = None
        self._aborted: dict[HostCommand, int] = {}
        """When an Abort of a command was asked for."""

    def begin(self, now: int) -> None:
        """Connecting begins."""
        config = self._host.config
        self._arm(Watch.CONNECTING, now + config.connect_timeout_ns)
        self._arm(Watch.COMMAND, now + config.command_timeout_ns)

    def connected(self, now: int) -> None:
        """The association is live."""
        self._cancel(Watch.CONNECTING)
        if self._host.config.keep_alive_ms:
            self._arm(Watch.KEEP_ALIVE, now + self._keep_alive_ns() // 2)

    def look_at_ana(self, now: int) -> None:
        """What is known of ANA has changed: is a group changing its state, and for how long?"""
        if not self._host.ana.is_changing:
            self._cancel(Watch.ANA_TRANSITION)
        elif not self._is_armed(Watch.ANA_TRANSITION):
            self._arm(Watch.ANA_TRANSITION, now + self._ana_patience_s * 10**9)

    def stopping(self) -> None:
        """The controller is being shut down."""
        self._cancel(Watch.CONNECTING)
        self._cancel(Watch.KEEP_ALIVE)
        self._cancel(Watch.ANA_TRANSITION)

    def stop(self) -> None:
        """Watch nothing any more."""
        for watch in Watch:
            self._cancel(watch)
        self._aborted.clear()

    def handle(self, watch: Watch, now: int) -> None:
        """A timer expired."""
        if watch is Watch.CONNECTING:
            self._fail(f"connecting took longer than {self._host.config.connect_timeout_ns / 10**9:g} seconds")
        elif watch is Watch.KEEP_ALIVE:
            self._look_after_keep_alive(now)
        elif watch is Watch.ANA_TRANSITION:
            self._fail(f"an ANA group is in the Change state for more than {self._ana_patience_s} seconds")
        else:
            self._look_for_late_commands(now)

    @property
    def _ana_patience_s(self) -> int:
        # Twice ANATT, as in Linux, for what the news takes on its way.
        return 2 * max(1, self._host.identity.anatt)

    def _keep_alive_ns(self) -> int:
        return self._host.config.keep_alive_ms * 1_000_000

    def _look_after_keep_alive(self, now: int) -> None:
        sent = self._keep_alive
        if sent is None:
            self._keep_alive = command = HostCommand(AdminOpcode.KEEP_ALIVE.value, done=self._keep_alive_answered)
            self._host.submit_admin(command, now)
            self._arm(Watch.KEEP_ALIVE, now + self._keep_alive_ns() // 2)
        elif now - sent.submitted_ns >= self._keep_alive_ns():
            self._fail(f"the controller did not answer a Keep Alive within {self._keep_alive_ns() / 10**9:g} seconds")
        else:
            self._arm(Watch.KEEP_ALIVE, sent.submitted_ns + self._keep_alive_ns())

    def _keep_alive_answered(self, command: HostCommand) -> None:
        self._keep_alive = None
        if command.status and command.queue is not None and not command.queue.failure:
            self._fail(f"the controller refused a Keep Alive: {status_text(command.status)}")

    def _look_for_late_commands(self, now: int) -> None:
        # Nothing that is sent from now on can be late before one whole timeout has passed, so that no command needs a
        # timer of its own.
        due = now + self._host.config.command_timeout_ns
        aborted, self._aborted = self._aborted, {}
        for queue in self._host.queues:
            for command in queue.commands_in_flight():
                if queue.qid or command.opcode != AdminOpcode.ASYNC_EVENT_REQUEST:
                    if command in aborted and aborted[command] >= command.submitted_ns:
                        self._aborted[command] = aborted[command]
                    due = min(due, self._look_at(queue, command, now))
        if not self._host.is_closed:
            self._arm(Watch.COMMAND, due)

    def _look_at(self, queue: HostQueue, command: HostCommand, now: int) -> int:
        """When to look at a command again, after doing what it takes now."""
        config = self._host.config
        if command.submitted_ns == JUST_NOW:
            command.submitted_ns = now
        due = command.submitted_ns + config.command_timeout_ns
        if due > now:
            return due
        limit = f"within {config.command_timeout_ns / 10**9:g} seconds"
        asked_ns = self._aborted.get(command)
        if asked_ns is None:
            if not queue.qid or not self._host.is_live:
                self._fail(f"the controller did not answer a command {limit}")
            elif len(self._aborted) <= self._host.identity.acl:
                self._aborted[command] = asked_ns = now
                self.aborts += 1
                self._host.submit_admin(abort(command), now)
            return now + config.abort_timeout_ns
        if asked_ns + config.abort_timeout_ns <= now:
            self._fail(f"the controller did not answer a command {limit}, nor after an Abort")
        return asked_ns + config.abort_timeout_ns
