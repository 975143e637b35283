"""Identify: what a controller and its namespaces say of themselves is what they do."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, make_port, sqe
from wire.nvme.identifiers import decode_identifiers
from wire.nvme.identify_codec import (
    IdentifyController,
    IdentifyControllerNvm,
    IdentifyNamespace,
    IdentifyNamespaceIndependent,
)
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.status import StatusCode
from wire.nvme.text import decode_nsids, padded_text

PAGES_OF_NAMESPACES = (0, 3, 5, 8)
PAGES = (*PAGES_OF_NAMESPACES, 1, 2, 6, 7, 0x1C)


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port(MemoryStore(1 << 20), MemoryStore(1 << 21)))


@pytest.fixture
def admin(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[0]


def controller_page(admin: CoreHost) -> IdentifyController:
    return IdentifyController.decode(admin.identify(1).data)


def test_what_linux_insists_on_is_in_the_controller_page(admin: CoreHost) -> None:
    page = controller_page(admin)
    assert page.cntlid == 1
    assert page.kas
    assert page.ioccsz == (64 + 8192) // 16
    assert (page.iorcsz, page.icdoff, page.sqes, page.cqes) == (1, 0, 0x66, 0x44)
    assert page.sgls == 0x100005
    assert padded_text(page.subnqn) == NQN
    assert page.mdts == 5
    assert page.vwc & 1


ONCS = {
    IoOpcode.COMPARE: 0,
    IoOpcode.WRITE_UNCORRECTABLE: 1,
    IoOpcode.DATASET_MANAGEMENT: 2,
    IoOpcode.WRITE_ZEROES: 3,
    IoOpcode.RESERVATION_REGISTER: 5,
    IoOpcode.VERIFY: 7,
    IoOpcode.COPY: 8,
}


@pytest.mark.parametrize("opcode", ONCS)
def test_an_optional_command_is_supported_when_oncs_says_so(hosts: tuple[CoreHost, CoreHost], opcode: IoOpcode) -> None:
    admin, io = hosts
    is_supported = io.do(sqe(opcode, nsid=1)).status != StatusCode.INVALID_OPCODE
    assert is_supported == bool(controller_page(admin).oncs >> ONCS[opcode] & 1)


def test_select_and_timestamp_are_in_oncs(admin: CoreHost) -> None:
    page = controller_page(admin)
    assert page.oncs >> 4 & 1
    assert page.oncs >> 6 & 1
    assert not page.oncs >> 9, "nothing newer"
    assert (page.oacs, page.fna, page.nwpc, page.sanicap) == (0, 0, 0, 0)
    assert page.lpa == 0b100111


def test_no_command_of_the_nvm_command_set_has_a_limit_of_its_own(admin: CoreHost) -> None:
    page = IdentifyControllerNvm.decode(admin.identify(6).data)
    assert (page.vsl, page.wzsl, page.wusl, page.dmrl, page.dmrsl, page.dmsl) == (0, 0, 0, 0, 0, 0)


def test_namespaces_are_listed_and_described(admin: CoreHost) -> None:
    assert decode_nsids(admin.identify(2).data) == [1, 2]
    assert decode_nsids(admin.identify(2, nsid=1).data) == [2]
    assert decode_nsids(admin.identify(7).data) == [1, 2]
    page = IdentifyNamespace.decode(admin.identify(0, nsid=2).data)
    assert (page.nsze, page.ncap, page.nvmcap) == (512, 512, 1 << 21)
    kinds = dict(decode_identifiers(admin.identify(3, nsid=2).data))
    assert kinds[2] == kinds[3] == page.nguid
    assert kinds[4] == b"\0"
    assert IdentifyNamespaceIndependent.decode(admin.identify(8, nsid=1).data).nstat == 1


def test_what_deallocated_blocks_read_is_told_for_each_namespace_and_deac_for_all() -> None:
    vague = MemoryStore(1 << 20)
    vague.is_zero_after_deallocate = False
    admin, _ = connected(make_port(MemoryStore(1 << 20), vague))
    pages = [IdentifyNamespace.decode(admin.identify(0, nsid=nsid).data) for nsid in (1, 2)]
    assert [page.dlfeat for page in pages] == [0b1001, 0b1000]


@pytest.mark.parametrize("cns", PAGES)
def test_every_identify_page_has_4096_bytes(admin: CoreHost, cns: int) -> None:
    answer = admin.identify(cns | (0xFFFF << 16 if cns == 0x1C else 0), nsid=int(cns in PAGES_OF_NAMESPACES))
    assert (answer.status, len(answer.data)) == (0, 4096)


def test_identify_data_that_is_not_there_is_refused(admin: CoreHost) -> None:
    for cns in range(256):
        for nsid in (0, 1):
            if cns not in PAGES:
                assert admin.identify(cns, nsid=nsid).status == StatusCode.INVALID_FIELD, hex(cns)


INACTIVE = 9


@pytest.mark.parametrize("cns", [0, 5, 8])
def test_an_inactive_namespace_reads_as_zeroes(admin: CoreHost, cns: int) -> None:
    assert admin.identify(cns, nsid=INACTIVE).data == bytes(4096)


def test_an_inactive_namespace_has_no_identifiers(admin: CoreHost) -> None:
    assert admin.identify(3, nsid=INACTIVE).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("cns", PAGES_OF_NAMESPACES)
@pytest.mark.parametrize("nsid", [0, 1025, 0xFFFFFFFE, 0xFFFFFFFF])
def test_an_invalid_namespace_id_is_refused(admin: CoreHost, cns: int, nsid: int) -> None:
    assert admin.identify(cns, nsid=nsid).status == StatusCode.INVALID_NAMESPACE


@pytest.mark.parametrize("cns", [2, 7])
@pytest.mark.parametrize("nsid", [0xFFFFFFFE, 0xFFFFFFFF])
def test_no_list_starts_behind_the_last_namespace_id(admin: CoreHost, cns: int, nsid: int) -> None:
    assert admin.identify(cns, nsid=nsid).status == StatusCode.INVALID_NAMESPACE


@pytest.mark.parametrize("cns", [5, 6, 7])
@pytest.mark.parametrize("csi", [1, 2, 255])
def test_a_command_set_that_is_not_there_is_refused(admin: CoreHost, cns: int, csi: int) -> None:
    assert admin.identify(cns, nsid=1, cdw11=csi << 24).status == StatusCode.INVALID_FIELD


def test_command_sets_are_those_of_this_controller(admin: CoreHost) -> None:
    for controller in (0xFFFF, 1):
        assert admin.identify(0x1C | controller << 16).data == b"\1" + bytes(4095)
    assert admin.identify(0x1C | 2 << 16).status == StatusCode.INVALID_FIELD


def test_identify_into_another_length_is_refused(admin: CoreHost) -> None:
    entry = sqe(AdminOpcode.IDENTIFY, cdw10=1)
    assert admin.do(entry, expect=512).status == StatusCode.INVALID_SGL_DATA_LENGTH
