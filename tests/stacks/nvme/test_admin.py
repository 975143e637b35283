"""Admin commands: events, abort, keep-alive."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, make_port, sqe
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import AdminOpcode, FeatureId
from wire.nvme.status import StatusCode
from wire.nvme.text import decode_nsids


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port(MemoryStore(1 << 20), MemoryStore(1 << 21)))


@pytest.fixture
def admin(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[0]


def aer(admin: CoreHost) -> int:
    cid = admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))
    admin.pump()
    return cid


def enable_events(admin: CoreHost) -> None:
    entry = sqe(AdminOpcode.SET_FEATURES, cdw10=FeatureId.ASYNC_EVENT_CONFIGURATION, cdw11=0x900)
    assert admin.do(entry).status == 0


def test_a_new_namespace_is_announced_once_until_its_log_is_read(admin: CoreHost) -> None:
    enable_events(admin)
    subsystem = admin.port.target.subsystems[NQN]
    first, second = aer(admin), aer(admin)
    subsystem.add_namespace(MemoryStore(1 << 20))
    admin.pump()
    assert admin.answers[first].dw0 == 0x00040002
    subsystem.remove_namespace(2)
    admin.pump()
    assert second not in admin.answers
    assert decode_nsids(admin.log_page(4, 4096, rae=True).data) == [2, 3]
    assert second not in admin.answers
    assert decode_nsids(admin.log_page(4, 4096).data) == [2, 3]
    admin.pump()
    assert admin.answers[second].dw0 == 0x00040002


def test_an_event_waits_for_a_request(admin: CoreHost) -> None:
    enable_events(admin)
    admin.port.target.subsystems[NQN].set_ana_state(1, AnaState.NON_OPTIMIZED)
    assert admin.answers == {}
    assert admin.answers[aer(admin)].dw0 == 0x000C0302


def test_an_event_that_nobody_asked_for_is_not_told(admin: CoreHost) -> None:
    cid = aer(admin)
    admin.port.target.subsystems[NQN].add_namespace(MemoryStore(1 << 20))
    admin.pump()
    assert cid not in admin.answers


def test_a_fifth_event_request_is_too_many(admin: CoreHost) -> None:
    cids = [aer(admin) for _ in range(5)]
    assert [cid for cid in cids if cid in admin.answers] == cids[-1:]
    assert admin.answers[cids[-1]].status == StatusCode.ASYNC_EVENT_LIMIT_EXCEEDED


def test_keep_alive_is_answered(admin: CoreHost) -> None:
    assert admin.do(sqe(AdminOpcode.KEEP_ALIVE)).status == 0
