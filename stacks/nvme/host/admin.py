"""Admin commands of a program: scripts for a live association, each of which leaves its answer in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.nvme.host.command import HostCommand, get_features, get_log_page, identify, set_features
from stacks.nvme.host.script import Steps
from stacks.runtime import LocalError
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.features_codec import HostBehavior, Timestamp
from wire.nvme.identifiers import IDENTIFY_BYTES
from wire.nvme.opcodes import FeatureId

if TYPE_CHECKING:
    from stacks.nvme.host.controller import HostController


@dataclass(frozen=True, slots=True)
class FeatureValue:
    """What Get Features answered: DW0, and for features that have it the data beside."""

    value: int
    data: bytes = b""


def read_identify(found: list[memoryview], *, cns: int, nsid: int, csi: int) -> Steps:
    """Identify, 4096 bytes."""
    page = memoryview(bytearray(IDENTIFY_BYTES))
    answer = yield identify(cns, page, nsid=nsid, csi=csi)
    _check(answer, "identify")
    found.append(page)


def read_log(
    host: HostController, found: list[memoryview], *, page: int, length: int, nsid: int, retain: bool, parameter: int
) -> Steps:
    """Get Log Page, `length` bytes; in pieces when one command does not move as much. LocalError for a length that is
    no positive multiple of 4.
    """
    if length <= 0 or length % 4:
        raise LocalError(f"log page {page:#x}: {length} bytes are no positive multiple of 4")
    content = memoryview(bytearray(length))
    step = host.max_transfer_bytes
    for at in range(0, length, step):
        # The event is told again after the last piece, not while the rest of the page is still unread.
        is_last = at + step >= length
        answer = yield get_log_page(
            page, content[at : at + step], offset=at, nsid=nsid, retain=retain or not is_last, parameter=parameter
        )
        _check(answer, f"read log page {page:#x}")
    found.append(content)


def read_feature(found: list[FeatureValue], *, fid: int, select: int, value: int, nsid: int) -> Steps:
    """Get Features. value: CDW11, what else the feature has to be told."""
    length = DATA_BYTES.get(fid, 0) if select != SELECT_SUPPORTED else 0
    into = memoryview(bytearray(length)) if length else None
    answer = yield get_features(fid, select=select, value=value, nsid=nsid, into=into)
    assert answer is not None
    _check(answer, f"get feature {fid:#x}")
    found.append(FeatureValue(answer.dw0, b"" if into is None else bytes(into)))


def write_feature(found: list[int], *, fid: int, value: int, nsid: int, data: bytes, is_saved: bool) -> Steps:
    """Set Features; DW0 of the answer, which means something for some features."""
    answer = yield set_features(fid, value, nsid=nsid, data=memoryview(data) if data else None, is_saved=is_saved)
    assert answer is not None
    _check(answer, f"set feature {fid:#x}")
    found.append(answer.dw0)


def _check(answer: HostCommand | None, what: str) -> None:
    assert answer is not None
    answer.check(what)


DATA_BYTES = {
    FeatureId.TIMESTAMP.value: Timestamp.SIZE,
    FeatureId.HOST_BEHAVIOR.value: HostBehavior.SIZE,
    FeatureId.HOST_IDENTIFIER.value: len(ConnectData().hostid),
}
"""Features whose value is data and not DW0."""

SELECT_SUPPORTED = 3
