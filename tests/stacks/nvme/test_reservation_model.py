"""Random histories of several hosts and controllers, against a plain model of what the specification says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.reservations import MemoryReservations
from tests.stacks.nvme.reservation_rig import Node, ReservationRig
from wire.nvme.opcodes import FeatureId
from wire.nvme.reservations import ReservationNotice, ReservationType
from wire.nvme.status import StatusCode

SUCCESS, CONFLICT, INVALID = 0, StatusCode.RESERVATION_CONFLICT, StatusCode.INVALID_FIELD
SHARED = (ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS, ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS)
ALONE = (ReservationType.WRITE_EXCLUSIVE, ReservationType.EXCLUSIVE_ACCESS)
EXCLUSIVE = (
    ReservationType.EXCLUSIVE_ACCESS,
    ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
    ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
)
PREEMPTED, RELEASED, GONE = ReservationNotice

hosts = st.sampled_from("abc")
keys = st.integers(0, 3)
kinds = st.sampled_from(ReservationType)


class Specification:
    """NVM Express Base 2.0 8.19, as one would tell it: changed in place, a sentence a step."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        self.kind = 0
        self.holder = ""
        self.generation = 0
        self.is_persistent = False
        self.mask = 0
        self.told: list[tuple[str, ReservationNotice]] = []

    def holds(self, host: str) -> bool:
        return bool(self.kind) and (host in self.keys if self.kind in SHARED else host == self.holder)

    def register(self, host: str, key: int, persistence: int) -> int:
        if key == 0:
            return INVALID
        if self.keys.get(host, key) != key:
            return CONFLICT
        self.keys[host] = key
        return self._registered(persistence)

    def replace(self, host: str, key: int, new_key: int, ignores_key: bool) -> int:
        if new_key == 0:
            return INVALID
        if not ignores_key and self.keys.get(host) != key:
            return CONFLICT
        self.keys[host] = new_key
        return self._registered(0)

    def unregister(self, host: str, key: int, ignores_key: bool) -> int:
        if not ignores_key and self.keys.get(host) != key:
            return CONFLICT
        kind = self.kind
        self._remove(host)
        if kind and not self.kind and kind not in ALONE:
            self._tell(list(self.keys), RELEASED)
        return self._registered(0)

    def acquire(self, host: str, key: int, kind: int) -> int:
        if self.keys.get(host) != key:
            return CONFLICT
        if self.kind:
            return SUCCESS if self.holds(host) and self.kind == kind else CONFLICT
        self.kind, self.holder = kind, host
        return SUCCESS

    def preempt(self, host: str, key: int, other: int, kind: int) -> int:
        if self.keys.get(host) != key:
            return CONFLICT
        takes_over = False
        if self.kind in SHARED and other == 0:
            victims, takes_over = set(self.keys) - {host}, True
        elif self.kind and self.kind not in SHARED and self.keys[self.holder] == other:
            victims, takes_over = {each for each in self.keys if self.keys[each] == other} - {host}, True
        elif self.kind and other == 0:
            return INVALID
        else:
            victims = {each for each in self.keys if self.keys[each] == other}
            if not victims:
                return CONFLICT
        before = self.kind
        for victim in victims:
            self._remove(victim)
        if takes_over:
            self.kind, self.holder = kind, host
        self._tell(sorted(victims - {host}), PREEMPTED)
        if takes_over and before != kind:
            self._tell([each for each in self.keys if each != host], RELEASED)
        self.generation += 1
        return SUCCESS

    def release(self, host: str, key: int, kind: int) -> int:
        if self.keys.get(host) != key:
            return CONFLICT
        if not self.holds(host):
            return SUCCESS
        if kind != self.kind:
            return INVALID
        if kind not in ALONE:
            self._tell([each for each in self.keys if each != host], RELEASED)
        self.kind = 0
        return SUCCESS

    def clear(self, host: str, key: int) -> int:
        if self.keys.get(host) != key:
            return CONFLICT
        self._tell([each for each in self.keys if each != host], GONE)
        self.keys.clear()
        self.kind = 0
        self.generation += 1
        return SUCCESS

    def may(self, host: str, *, write: bool) -> bool:
        if not self.kind or self.holds(host) or (host in self.keys and self.kind not in ALONE):
            return True
        return not write and self.kind not in EXCLUSIVE

    def lose_power(self) -> None:
        self.mask = 0
        if not self.is_persistent:
            self.keys, self.kind, self.generation = {}, 0, 0

    def _registered(self, persistence: int) -> int:
        self.generation += 1
        if persistence:
            self.is_persistent = persistence == 3
        return SUCCESS

    def _remove(self, host: str) -> None:
        holds_alone = self.holder == host and self.kind not in SHARED
        self.keys.pop(host, None)
        if holds_alone or not self.keys:
            self.kind = 0

    def _tell(self, told: list[str], notice: ReservationNotice) -> None:
        self.told += [(host, notice) for host in told if not self.mask >> notice & 1]


class ReservationMachine(RuleBasedStateMachine):
    """Three hosts with up to two controllers each, on a target that may lose its power."""

    def __init__(self) -> None:
        super().__init__()
        self.specification = Specification()
        self.kept = MemoryReservations()
        self._start()

    def _start(self) -> None:
        self.rig = ReservationRig(MemoryStore(1 << 16), kept=self.kept)
        self.nodes = {name: self.rig.host(name) for name in "abc"}

    def _both(self, does: Callable[[Node], int], says: Callable[[], int], host: str) -> None:
        assert does(self.nodes[host]) == says()

    @rule(host=hosts, key=keys, persistence=st.sampled_from([0, 2, 3]), last=st.booleans())
    def register(self, host: str, key: int, persistence: int, last: bool) -> None:
        io = self.nodes[host].ios[-1 if last else 0]
        self._both(
            lambda node: node.register(key, persistence=persistence, io=io),
            lambda: self.specification.register(host, key, persistence),
            host,
        )

    @rule(host=hosts, key=keys, new_key=keys, ignores_key=st.booleans())
    def replace(self, host: str, key: int, new_key: int, ignores_key: bool) -> None:
        self._both(
            lambda node: node.replace(key, new_key, ignores_key=ignores_key),
            lambda: self.specification.replace(host, key, new_key, ignores_key),
            host,
        )

    @rule(host=hosts, key=keys, ignores_key=st.booleans())
    def unregister(self, host: str, key: int, ignores_key: bool) -> None:
        self._both(
            lambda node: node.unregister(key, ignores_key=ignores_key),
            lambda: self.specification.unregister(host, key, ignores_key),
            host,
        )

    @rule(host=hosts, key=keys, kind=kinds)
    def acquire(self, host: str, key: int, kind: int) -> None:
        self._both(
            lambda node: node.acquire(key, kind), lambda: self.specification.acquire(host, key, kind), host
        )

    @rule(host=hosts, key=keys, other=keys, kind=kinds, aborts=st.booleans())
    def preempt(self, host: str, key: int, other: int, kind: int, aborts: bool) -> None:
        self._both(
            lambda node: node.send_acquire(key, other, kind, 1 + aborts).status,
            lambda: self.specification.preempt(host, key, other, kind),
            host,
        )

    @rule(host=hosts, key=keys, kind=kinds)
    def release(self, host: str, key: int, kind: int) -> None:
        self._both(
            lambda node: node.release(key, kind), lambda: self.specification.release(host, key, kind), host
        )

    @rule(host=hosts, key=keys)
    def clear(self, host: str, key: int) -> None:
        self._both(lambda node: node.clear(key), lambda: self.specification.clear(host, key), host)

    @rule(mask=st.integers(0, 7))
    def mask(self, mask: int) -> None:
        assert self.nodes["a"].set_feature(FeatureId.RESERVATION_NOTIFICATION_MASK, mask << 1) == 0
        self.specification.mask = mask << 1

    @rule(host=hosts)
    def add_controller(self, host: str) -> None:
        if len(self.nodes[host].ios) < 2:
            self.nodes[host].add_controller()

    @rule(host=hosts)
    def reconnect(self, host: str) -> None:
        self.nodes[host].lose()
        self.nodes[host] = self.rig.host(host)

    @rule()
    def lose_power(self) -> None:
        self.specification.lose_power()
        self._start()

    @invariant()
    def hosts_are_told_what_happened(self) -> None:
        told, self.specification.told = self.specification.told, []
        for name, node in self.nodes.items():
            for admin in node.admins:
                assert node.notifications(admin) == [notice for host, notice in told if host == name]

    @invariant()
    def the_report_is_the_specifications(self) -> None:
        wanted, report = self.specification, self.nodes["a"].report()
        names = {node.host_id: name for name, node in self.nodes.items()}
        assert {names[each.host_id]: each.key for each in report.registrants} == wanted.keys
        assert (report.kind, report.generation, report.is_persistent) == (
            wanted.kind,
            wanted.generation,
            wanted.is_persistent,
        )
        assert {names[each.host_id] for each in report.registrants if each.is_holder} == {
            name for name in wanted.keys if wanted.holds(name)
        }

    @invariant()
    def every_queue_lets_through_what_its_host_may_do(self) -> None:
        for name, node in self.nodes.items():
            for io in node.ios:
                assert (node.read(io=io) == 0) is self.specification.may(name, write=False)
                assert (node.write(io=io) == 0) is self.specification.may(name, write=True)


class LongReservationMachine(ReservationMachine):
    """The same for a while."""


TestReservations = pytest.mark.slow(ReservationMachine.TestCase)
TestReservations.settings = settings(max_examples=25, stateful_step_count=30)

TestLongReservations = pytest.mark.long(LongReservationMachine.TestCase)
TestLongReservations.settings = settings(max_examples=1000, stateful_step_count=50)
