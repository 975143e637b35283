"""The three types of controller: what each says of itself, has, and refuses."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from stacks.nvme.target.controller_kind import ADMINISTRATIVE, DISCOVERY, IO, ControllerKind
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import ENABLE, NQN, sqe
from tests.stacks.nvme.fabrics_rig import FabricsRig, RigHost, RigQueue, disk, host_nqn
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FeatureId, LogPage
from wire.nvme.properties import PropertyOffset
from wire.nvme.registers_codec import ControllerCapabilities
from wire.nvme.status import StatusCode

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
NQNS = {"io": NQN, "discovery": DISCOVERY_NQN, "administrative": MANAGEMENT_NQN}
KINDS = list(NQNS)


@pytest.fixture
def rig() -> FabricsRig:
    return FabricsRig(disk(), Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE))


def host_of(rig: FabricsRig, kind: str) -> RigHost:
    return rig.host(nqn=NQNS[kind])


def described(rig: FabricsRig, kind: str) -> dict[str, object]:
    host = host_of(rig, kind)
    page = IdentifyController.decode(host.admin.identify(1).data)
    capabilities = host.admin.read_property(PropertyOffset.CAP, size=8)
    cap = ControllerCapabilities.decode((capabilities.dw0 | capabilities.dw1 << 32).to_bytes(8, "little"))
    logs = host.admin.log_page(0, 1024).data
    features = host.admin.log_page(0x12, 1024).data
    return {
        "cntrltype": page.cntrltype,
        "dctype": page.dctype,
        "cmic": page.cmic,
        "oaes": page.oaes,
        "ctratt": page.ctratt,
        "kas": page.kas,
        "sqes, cqes": (page.sqes, page.cqes),
        "nn, oncs, vwc": (page.nn, page.oncs, page.vwc),
        "ana": (page.anatt, page.anacap, page.anagrpmax, page.nanagrpid),
        "queues": (page.ioccsz, page.iorcsz, page.fcatt, page.ofcs),
        "cap": (cap.mqes, cap.cqr, cap.css, cap.crms, cap.nssrs),
        "crto": host.admin.read_property(PropertyOffset.CRTO).status,
        "logs": [each for each in range(256) if logs[4 * each] & 1],
        "features": [each for each in range(256) if features[4 * each] & 1],
    }


REVIEWED: dict[str, dict[str, object]] = {
    "io": {
        "cntrltype": 1,
        "dctype": 0,
        "cmic": 0b1011,
        "oaes": 0x900,
        "ctratt": 0x41,
        "kas": 10,
        "sqes, cqes": (0x66, 0x44),
        "ana": (10, 0x1F, 128, 128),
        "queues": (516, 1, 0, 1),
        "cap": (255, 1, 0x41, 1, 0),
        "crto": 0,
    },
    "discovery": {
        "cntrltype": 2,
        "dctype": 1,
        "cmic": 0,
        "oaes": 1 << 31,
        "ctratt": 0x41,
        "kas": 10,
        "sqes, cqes": (0, 0),
        "nn, oncs, vwc": (0, 0, 0),
        "ana": (0, 0, 0, 0),
        "queues": (0, 0, 0, 0),
        "cap": (255, 1, 0x41, 0, 0),
        "crto": StatusCode.INVALID_FIELD,
        "logs": [0, 1, 5, 0x12, 0x70],
        "features": [0x0B, 0x0F],
    },
    "administrative": {
        "cntrltype": 3,
        "dctype": 0,
        "cmic": 0b0011,
        "oaes": 0,
        "ctratt": 0x41,
        "kas": 10,
        "sqes, cqes": (0, 0),
        "nn, oncs, vwc": (0, 0, 0),
        "ana": (0, 0, 0, 0),
        "queues": (0, 0, 0, 0),
        "cap": (255, 1, 0x80, 1, 0),
        "crto": 0,
        "logs": [0, 1, 2, 3, 5, 0x12, 0x13],
        "features": [0x0B, 0x0F, 0x81],
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_controller_says_of_itself_what_was_reviewed(rig: FabricsRig, kind: str) -> None:
    assert described(rig, kind) | REVIEWED[kind] == described(rig, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_log_and_feature_that_is_listed_is_there_and_no_other(rig: FabricsRig, kind: str) -> None:
    host, found = host_of(rig, kind), described(rig, kind)
    for page in range(256):
        expected = 0 if page in found["logs"] else StatusCode.INVALID_LOG_PAGE  # type: ignore[operator]
        assert host.admin.log_page(page, 4).status == expected, hex(page)
    for fid in range(256):
        # Three are a namespace's.
        entry = sqe(AdminOpcode.GET_FEATURES, cdw10=fid, nsid=int(fid in (5, 0x82, 0x83)), cdw11=int(fid == 0x81))
        answer = host.admin.do(entry, expect={0x0E: 8, 0x16: 512, 0x81: 16}.get(fid, 0))
        assert (answer.status == 0) == (fid in found["features"]), hex(fid)  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["discovery", "administrative"])
def test_a_controller_without_io_queues_refuses_them(rig: FabricsRig, kind: str) -> None:
    host = host_of(rig, kind)
    answer = RigQueue(rig, rig.ports[0]).connect(
        qid=1, cntlid=host.cntlid, nqn=NQNS[kind], host_nqn=host.nqn, host_id=host.host_id
    )
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_PARAMETERS, 42)
    assert host.set_feature(FeatureId.NUMBER_OF_QUEUES, 0).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("kind", ["discovery", "administrative"])
def test_a_controller_without_namespaces_has_no_pages_of_them(rig: FabricsRig, kind: str) -> None:
    host = host_of(rig, kind)
    for cns in range(0x20):
        assert (host.admin.identify(cns, nsid=1).status == 0) == (cns == 1)


@pytest.mark.parametrize(
    ("kind", "configuration", "is_right"),
    [
        ("io", ENABLE, True),
        ("io", 0x00460061, True),
        ("io", 0x00460071, False),
        ("io", 1, False),
        ("discovery", 0x00460061, True),
        ("discovery", 1, True),
        ("discovery", 0x71, True),
        ("discovery", 1 | 1 << 7, False),
        ("administrative", 0x71, True),
        ("administrative", ENABLE, True),
        ("administrative", 0x31, False),
        ("administrative", 0x71 | 1 << 11, False),
    ],
)
def test_each_kind_is_enabled_with_what_it_has(rig: FabricsRig, kind: str, configuration: int, is_right: bool) -> None:
    queue = RigQueue(rig, rig.ports[0])
    queue.connect(nqn=NQNS[kind], host_nqn=host_nqn("one"))
    queue.set_property(PropertyOffset.CC, configuration)
    assert queue.read_property(PropertyOffset.CSTS).dw0 == (1 if is_right else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_the_admin_commands_that_it_must(rig: FabricsRig, kind: str) -> None:
    host = host_of(rig, kind)
    assert host.admin.do(sqe(AdminOpcode.KEEP_ALIVE)).status == 0
    assert host.feature(FeatureId.KEEP_ALIVE_TIMER).status == 0
    assert host.admin.do(sqe(AdminOpcode.ABORT, cdw10=999 << 16)).dw0 == 1
    for opcode in (0x00, 0x01, 0x04, 0x05, 0x0D, 0x15):
        assert host.admin.do(sqe(opcode)).status == StatusCode.INVALID_OPCODE


def test_an_administrative_controller_counts_its_subsystem_and_has_no_io_commands(rig: FabricsRig) -> None:
    host = host_of(rig, "administrative")
    effects = host.admin.log_page(LogPage.COMMAND_EFFECTS, 4096).data
    assert effects[1024:] == bytes(3072)
    assert host.admin.do(sqe(0xC0)).status == StatusCode.INVALID_OPCODE
    assert host.admin.log_page(LogPage.ERROR, 64).data[:8] == b"\1" + bytes(7)


@pytest.mark.parametrize("kind", [DISCOVERY, ADMINISTRATIVE])
def test_namespaces_belong_to_io_controllers(kind: ControllerKind) -> None:
    with pytest.raises(LocalError, match="has no namespaces"):
        Subsystem(MANAGEMENT_NQN, kind=kind).add_namespace(MemoryStore(1 << 16))
    assert Subsystem(NQN).kind is IO
    assert Subsystem(DISCOVERY_NQN).kind is DISCOVERY
