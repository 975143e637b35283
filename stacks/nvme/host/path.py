"""A path: one way to a subsystem, kept for as long as its policy says.

    connector.connect  ->  HostController     an association; the next one after a loss and the reconnect delay
    observer           <-  what changed       the path is live, lost, failing fast, or over

A connection that is lost, or that never came about after the first, is made again every `reconnect_delay`. What a
controller refuses for good (DNR: no such subsystem, not this host) is not asked for again, and neither is a first
connection, unless the policy says so: a mistyped address is no outage.

A path registers with its connector only while it waits for a time, so that a live one costs nothing.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable
from typing import Protocol

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.configuration import HostConfig
from stacks.nvme.host.controller import HostController
from stacks.nvme.host.path_state import PATH_TABLE, PathEvent, PathState
from stacks.nvme.host.reconnect import ReconnectPolicy
from stacks.runtime import Timers, Verdict
from stacks.runtime.errors import StackError


class Policy(Protocol):
    """Something above associations that wants to be called at certain times."""

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""

    def handle_timeout(self, now: int) -> None:
        """Act on every deadline at or before `now`."""


def handle_due(those: Iterable[Policy], now: int) -> None:
    """Call those that are due at `now`; they may come and go meanwhile."""
    for each in list(those):
        due = each.poll_deadline()
        if due is not None and due <= now:
            each.handle_timeout(now)


class Connector(Protocol):
    """Makes associations: a binding's initiator. transport: over what, as URLs name it.

    policies: whom it calls in time, beside its associations.
    """

    transport: str
    policies: dict[Policy, None]

    def connect(self, address: str, config: HostConfig, now: int, *, port: int = ...) -> HostController:
        """Begin an association."""

    def forget(self, host: HostController) -> None:
        """Drop an association that is closed."""


class PathObserver(Protocol):
    """Who uses a path. It is called in the middle of things: it takes note, and acts later."""

    def path_changed(self, path: Path, now: int) -> None:
        """Its state changed, whether it fails fast, or what its controller has."""

    def event_came(self, path: Path, event: int) -> None:
        """An asynchronous event; event: DW0 of its completion."""

    def recover(self, path: Path, command: HostCommand) -> bool:
        """An I/O command failed; True when it is sent again."""


class PathTimer(enum.IntEnum):
    """What a path waits for."""

    RECONNECT = 0
    """The next attempt."""
    CONTROLLER_LOSS = 1
    """It is given up."""
    FAST_FAIL = 2
    """I/O that has no other path fails."""
    TIDY = 3
    """Associations that ended are forgotten."""


class Path:
    """A path to `address` and `port`, which is new until `start`.

    config: how to connect, and to which subsystem; policy: what a loss leads to; rng: for the policy's jitter.
    host: the association of now, or the last one; failure: why it is down, or over, in one line.
    losses: live connections that were lost; attempts: connections that were begun.
    """

    def __init__(
        self,
        connector: Connector,
        address: str,
        config: HostConfig,
        *,
        port: int,
        policy: ReconnectPolicy,
        rng: random.Random | None = None,
    ) -> None:
        self.connector = connector
        self.address = address
        self.port = port
        self.config = config
        self.policy = policy
        self.state = PathState.NEW
        self.failure = ""
        self.is_failing_fast = False
        self.host: HostController | None = None
        self.observer: PathObserver | None = None
        self.losses = 0
        self.attempts = 0
        self._rng = rng
        self._timers: Timers[PathTimer] = Timers()
        self._ended: list[HostController] = []
        self._was_live = False
        self._is_given_up = False
        self._is_reset = False

    @property
    def is_live(self) -> bool:
        """Whether I/O goes."""
        return self.state is PathState.LIVE

    @property
    def is_removed(self) -> bool:
        """Whether it is over; `failure` says why, and is empty after an orderly stop."""
        return self.state is PathState.REMOVED

    @property
    def is_available(self) -> bool:
        """Whether I/O goes, or it is worth waiting for."""
        return self.state in _AVAILABLE and not self.is_failing_fast

    def start(self, now: int) -> None:
        """Begin to connect; LocalError when it was begun before."""
        if self._apply(PathEvent.START):
            if self.policy.retries_first:
                self._begin_outage(now)
            self._connect(now)

    def stop(self, now: int) -> None:
        """Begin an orderly end."""
        if not self._apply(PathEvent.STOP):
            return
        self._cancel(PathTimer.RECONNECT, PathTimer.CONTROLLER_LOSS, PathTimer.FAST_FAIL)
        self._arm(PathTimer.TIDY, now)
        if self.state is PathState.STOPPING and self.host is not None:
            self.host.stop(now)
        self.failure = ""
        self._changed(now)

    def reset(self, now: int, reason: str = "it was reset") -> None:
        """Drop the connection and connect again without delay."""
        if self.state is PathState.LIVE and self.host is not None:
            self._is_reset = True
            self.host.fail(reason, now)

    # What the connector calls

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int) -> None:
        """Attempts, and the ends of patience."""
        for timer in self._timers.expired(now):
            if timer is PathTimer.TIDY:
                self._tidy()
            elif timer is PathTimer.RECONNECT:
                if self._apply(PathEvent.RETRY):
                    self._connect_again(now)
            elif timer is PathTimer.FAST_FAIL:
                self.is_failing_fast = True
                self._changed(now)
            else:
                self._give_up_in_time(now)
        if self._timers.next_deadline() is None:
            self.connector.policies.pop(self, None)

    # What its association tells

    def host_live(self, host: HostController) -> None:
        """I/O goes."""
        if host is self.host and self._apply(PathEvent.CONNECTED):
            self._was_live = True
            self.is_failing_fast = False
            self.failure = ""
            self._cancel(PathTimer.CONTROLLER_LOSS, PathTimer.FAST_FAIL)
            self._changed(host.now)

    def host_closed(self, host: HostController) -> None:
        """It is over: on to the next, or not."""
        if host is not self.host:
            return
        now = host.now
        self._ended.append(host)
        self._arm(PathTimer.TIDY, now)
        if self.state is PathState.STOPPING:
            self._apply(PathEvent.STOPPED)
        elif self._is_final(host):
            self._give_up(host.failure)
        else:
            self._lost(host.failure, now)
        self._changed(now)

    def host_changed(self, host: HostController) -> None:
        """Namespaces, or their ANA states, were read again."""
        self._changed(host.now)

    def event_came(self, host: HostController, event: int) -> None:  # noqa: ARG002 (there is one at a time)
        """An asynchronous event."""
        if self.observer is not None:
            self.observer.event_came(self, event)

    def recover(self, host: HostController, command: HostCommand) -> bool:  # noqa: ARG002
        """An I/O command failed."""
        return self.observer is not None and self.observer.recover(self, command)

    # What follows

    def _connect_again(self, now: int) -> None:
        try:
            self._connect(now)
        except StackError as error:
            # There is no memory for it; perhaps there is at the next attempt.
            self._lost(str(error), now)

    def _connect(self, now: int) -> None:
        self.attempts += 1
        host = self.host = self.connector.connect(self.address, self.config, now, port=self.port)
        host.observer = self
        if host.is_closed:
            # It was over before there was anybody to tell, as when queue pairs have run out.
            self.host_closed(host)

    def _is_final(self, host: HostController) -> bool:
        if self._is_given_up or host.is_final or self.policy.ctrl_loss_tmo == 0:
            return True
        return not self._was_live and not self.policy.retries_first

    def _lost(self, reason: str, now: int) -> None:
        if self.state is PathState.LIVE:
            self.losses += 1
            self._begin_outage(now)
        self.failure = reason
        if self._apply(PathEvent.LOST):
            self._arm(PathTimer.RECONNECT, now + (0 if self._is_reset else self._delay_ns()))
        self._is_reset = False

    def _begin_outage(self, now: int) -> None:
        policy = self.policy
        if policy.ctrl_loss_tmo > 0:
            self._arm(PathTimer.CONTROLLER_LOSS, now + int(policy.ctrl_loss_tmo * SECOND_NS))
        if policy.fast_io_fail_tmo >= 0:
            self._arm(PathTimer.FAST_FAIL, now + int(policy.fast_io_fail_tmo * SECOND_NS))

    def _delay_ns(self) -> int:
        longer = self._rng.random() * self.policy.jitter if self._rng is not None else 0.0
        return int(self.policy.reconnect_delay * (1 + longer) * SECOND_NS)

    def _give_up_in_time(self, now: int) -> None:
        text = f"{self.failure or 'it did not answer'}; given up after {self.policy.ctrl_loss_tmo:g} seconds"
        if self.state is PathState.CONNECTING and self.host is not None:
            # Its end is reported as that of any other attempt, with the reason that counts.
            self._is_given_up = True
            self.host.fail(text, now)
        else:
            self._give_up(text)
            self._changed(now)

    def _give_up(self, reason: str) -> None:
        if self._apply(PathEvent.GIVE_UP):
            self.failure = reason
            self._cancel(PathTimer.RECONNECT, PathTimer.CONTROLLER_LOSS, PathTimer.FAST_FAIL)

    def _tidy(self) -> None:
        # Not where it ended: the connector was in the middle of that.
        ended, self._ended = self._ended, []
        for host in ended:
            self.connector.forget(host)

    def _changed(self, now: int) -> None:
        if self.observer is not None:
            self.observer.path_changed(self, now)

    def _arm(self, timer: PathTimer, deadline_ns: int) -> None:
        self._timers.arm(timer, deadline_ns)
        self.connector.policies[self] = None

    def _cancel(self, *timers: PathTimer) -> None:
        for timer in timers:
            self._timers.cancel(timer)

    def _apply(self, event: PathEvent) -> bool:
        outcome = PATH_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        return True


SECOND_NS = 10**9

_AVAILABLE = frozenset((PathState.NEW, PathState.CONNECTING, PathState.LIVE, PathState.WAITING))
