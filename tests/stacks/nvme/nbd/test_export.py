"""A connected namespace as an export."""

from __future__ import annotations

import pytest

from stacks.nvme.host import HostConfig, HostController, HostNamespace
from stacks.nvme.nbd import export_of
from wire.nbd import NbdInfoBlockSize
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace


def namespace(*, block_bytes: int = 4096, **fields: int) -> HostNamespace:
    found = HostNamespace(HostController(HostConfig(nqn="nqn.2026-11.io.baremetal:disk")), 1)
    found.describe(IdentifyNamespace(nsze=1000, **fields), block_bytes=block_bytes)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("oncs", "can_trim", "can_write_zeroes"),
    [(0, False, False), (4, True, False), (8, False, True), (0xFF, True, True)],
)
def test_what_a_controller_can_is_what_an_export_offers(oncs: int, can_trim: bool, can_write_zeroes: bool) -> None:
    export = export_of(namespace(), IdentifyController(oncs=oncs), name="disk", description="of mine")
    assert (export.can_trim, export.can_write_zeroes) == (can_trim, can_write_zeroes)
    assert (export.name, export.description, export.size_bytes) == ("disk", "of mine", 4_096_000)


@pytest.mark.parametrize(("nsattr", "wanted", "is_read_only"), [(0, False, False), (1, False, True), (0, True, True)])
def test_an_export_is_read_only_when_either_says_so(nsattr: int, wanted: bool, is_read_only: bool) -> None:
    export = export_of(namespace(nsattr=nsattr), IdentifyController(), is_read_only=wanted)
    assert export.is_read_only is is_read_only


@pytest.mark.parametrize(
    ("block_bytes", "fields", "preferred"),
    [
        (512, {}, 4096),
        (4096, {"npwg": 15}, 4096),
        (4096, {"npwg": 15, "nsfeat": 16}, 65536),
        (512, {"npwg": 31, "nsfeat": 16}, 16384),
        (4096, {"npwg": 2, "nsfeat": 16}, 4096),
        (4096, {"npwg": 0xFFFF, "nsfeat": 16}, 4096),
        (8192, {}, 8192),
    ],
)
def test_block_sizes_are_those_of_the_namespace(block_bytes: int, fields: dict[str, int], preferred: int) -> None:
    export = export_of(namespace(block_bytes=block_bytes, **fields), IdentifyController())
    assert export.block_sizes == NbdInfoBlockSize(minimum=1, preferred=preferred, maximum=32 << 20)
