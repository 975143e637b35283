"""Hosts, masks, ANA states and namespaces in any order, against a model of what each host should have and hear."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.fabrics_rig import BLOCK, FabricsRig, RigHost, host_nqn
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import LogPage
from wire.nvme.status import StatusCode

NAMES = ("one", "two")
STATES = (AnaState.OPTIMIZED, AnaState.NON_OPTIMIZED, AnaState.INACCESSIBLE, AnaState.CHANGE)
STATUS = {AnaState.INACCESSIBLE: StatusCode.ANA_INACCESSIBLE, AnaState.CHANGE: StatusCode.ANA_TRANSITION}

nsids = st.integers(1, 3)
groups = st.integers(1, 3)
portids = st.integers(1, 2)
masks = st.none() | st.sets(st.sampled_from(NAMES))


class Model:
    """A namespace as it should be."""

    def __init__(self, group: int, mask: set[str] | None) -> None:
        self.group = group
        self.mask = mask
        self.version = 0


class AttachmentsMachine(RuleBasedStateMachine):
    """One subsystem behind two ports; each rule is a change, after which every host is asked everything."""

    def __init__(self) -> None:
        super().__init__()
        self.subsystem = Subsystem(NQN)
        self.rig = FabricsRig(self.subsystem, ports=2)
        self.hosts: list[tuple[str, int, RigHost]] = []
        self.stores: dict[int, MemoryStore] = {}
        self.namespaces: dict[int, Model] = {}
        self.states: dict[int, dict[int, AnaState]] = {1: dict.fromkeys((1, 2), AnaState.OPTIMIZED)}
        self.seen: dict[int, object] = {}

    @precondition(lambda self: len(self.hosts) < 4)
    @rule(name=st.sampled_from(NAMES), portid=portids)
    def host_comes(self, name: str, portid: int) -> None:
        self.hosts.append((name, portid, self.rig.host(name, port=portid - 1)))

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def host_goes(self, data: st.DataObject) -> None:
        _, _, host = self.hosts.pop(data.draw(st.integers(0, len(self.hosts) - 1)))
        host.io.queue.closed()
        host.admin.queue.closed()

    @rule(nsid=nsids, group=groups, mask=masks)
    def namespace_comes(self, nsid: int, group: int, mask: set[str] | None) -> None:
        if nsid in self.namespaces:
            return
        self.before()
        self._group(group)
        self.namespaces[nsid] = Model(group, mask)
        self.stores[nsid] = MemoryStore(16 * BLOCK)
        self.subsystem.add_namespace(self.stores[nsid], nsid=nsid, ana_group=group, visible_to=_nqns(mask))
        self.after()

    @rule(nsid=nsids)
    def namespace_goes(self, nsid: int) -> None:
        if nsid in self.namespaces:
            self.before()
            del self.namespaces[nsid]
            self.subsystem.remove_namespace(nsid)
            self.after()

    @rule(nsid=nsids, mask=masks)
    def namespace_is_shown(self, nsid: int, mask: set[str] | None) -> None:
        if nsid in self.namespaces:
            self.before()
            self.namespaces[nsid].mask = mask
            self.subsystem.set_visible_to(nsid, _nqns(mask))
            self.after()

    @rule(nsid=nsids, group=groups)
    def namespace_moves(self, nsid: int, group: int) -> None:
        if nsid in self.namespaces:
            self.before()
            self._group(group)
            self.namespaces[nsid].group = group
            self.subsystem.move_namespace(nsid, group)
            self.after()

    @rule(nsid=nsids, blocks=st.integers(8, 16))
    def namespace_is_resized(self, nsid: int, blocks: int) -> None:
        if nsid in self.namespaces:
            self.before()
            self.namespaces[nsid].version += blocks != self.stores[nsid].block_count
            self.stores[nsid].block_count = blocks
            self.subsystem.resize_namespace(nsid)
            self.after()

    @rule(group=groups, state=st.sampled_from(STATES), portid=st.none() | portids)
    def state_changes(self, group: int, state: AnaState, portid: int | None) -> None:
        self.before()
        self._group(group)
        for each in (1, 2) if portid is None else (portid,):
            self.states[group][each] = state
        self.subsystem.set_ana_state(group, state, portid=portid)
        self.after()

    @invariant()
    def every_host_has_what_it_should(self) -> None:
        for name, portid, host in self.hosts:
            visible = self._visible(name)
            assert host.nsids() == sorted(visible)
            for nsid in (1, 2, 3):
                expected = StatusCode.INVALID_FIELD.value
                if nsid in visible:
                    expected = STATUS.get(self.states[visible[nsid].group][portid], 0)
                assert host.read(nsid) == expected
            assert host.ana() == {
                group: (states[portid], [nsid for nsid in sorted(visible) if visible[nsid].group == group])
                for group, states in sorted(self.states.items())
            }

    def before(self) -> None:
        self.seen = {
            index: (
                {nsid: (each, each.version, each.group) for nsid, each in self._visible(name).items()},
                {group: states[portid] for group, states in self.states.items()},
            )
            for index, (name, portid, _) in enumerate(self.hosts)
        }

    def after(self) -> None:
        seen = self.seen
        self.before()
        for index, (_, _, host) in enumerate(self.hosts):
            (old, old_states), (new, new_states) = seen[index], self.seen[index]  # type: ignore[misc, attr-defined]
            expected = set()
            if {nsid: each[:2] for nsid, each in old.items()} != {nsid: each[:2] for nsid, each in new.items()}:
                expected.add(LogPage.CHANGED_NAMESPACES)
            both = old.keys() & new.keys()
            if any(old[nsid][2] != new[nsid][2] for nsid in both if old[nsid][0] is new[nsid][0]) or any(
                old_states[group] is not new_states[group] for group in old_states
            ):
                expected.add(LogPage.ANA)
            news = host.news()
            assert len(news) == len(set(news))
            assert set(news) == expected

    def _group(self, group: int) -> None:
        self.states.setdefault(group, dict.fromkeys((1, 2), AnaState.OPTIMIZED))

    def _visible(self, name: str) -> dict[int, Model]:
        return {nsid: each for nsid, each in self.namespaces.items() if each.mask is None or name in each.mask}


def _nqns(mask: set[str] | None) -> list[str] | None:
    return None if mask is None else [host_nqn(name) for name in sorted(mask)]


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        AttachmentsMachine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


@pytest.mark.slow
def test_every_host_has_and_hears_what_it_should() -> None:
    run(25, 25)


@pytest.mark.long
def test_every_host_has_and_hears_what_it_should_in_many_orders() -> None:
    run(1000, 60)
