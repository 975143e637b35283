"""The commands that show log pages and features, at a target that serves: as lines, as JSON, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.nvme import sync
from stacks.nvme.configuration import (
    AnaConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from stacks.nvme.url import NvmeUrl
from tests.apps.managed import command, control_folder, managed
from wire.nvme.kinds import AnaState

__all__ = ["control_folder"]

pytestmark = pytest.mark.slow

NQN = "nqn.2026-11.io.baremetal:disk"
MANAGEMENT = "nqn.2026-11.io.baremetal:management"


@pytest.fixture
def url(loopback_addresses: Iterator[str], control_folder: Path) -> Iterator[str]:
    """A subsystem with a namespace, in whose blocks something was written and read; and one for management."""
    place = NvmeUrl("tcp", next(loopback_addresses))
    spaces = (NamespaceConfiguration(store="mem:4MiB", nsid=3, ana_group=2),)
    ana = (AnaConfiguration(group=2, state=AnaState.NON_OPTIMIZED),)
    disk = SubsystemConfiguration(nqn=NQN, namespaces=spaces, ana=ana)
    ports = (PortConfiguration(url=place, serves=None),)
    management = SubsystemConfiguration(nqn=MANAGEMENT, kind=ADMINISTRATIVE)
    with managed(TargetConfiguration(ports=ports, subsystems=(disk, management))):
        with sync.connect(f"{place}/{NQN}/3") as namespace:
            namespace.write(0, bytes(3 << 20))
            namespace.read(0)
        yield f"{place}/{NQN}"


def shown(*words: str) -> list[str]:
    result = command("nvme", *words)
    assert result.status == 0, result.line
    return result.output.splitlines()


def test_health_counts_what_was_done(url: str) -> None:
    lines = shown("smart-log", url)
    assert lines[0] == f"Smart Log for NVME device:{url} namespace-id:ffffffff"
    assert "Data Units Written\t\t\t: 7 (3.58 MB)" in lines
    assert "host_read_commands\t\t\t: 1" in lines
    told = command("nvme", "smart-log", f"{url}/3", "--json").json
    assert (told["data_units_written"], told["host_read_commands"], told["power_cycles"]) == (7, 1, 1)
    assert shown("smart-log", f"{url}/3")[0].endswith(" namespace-id:3")


def test_ana_groups_are_shown_with_their_namespaces(url: str) -> None:
    lines = shown("ana-log", url)
    assert lines[-6:] == ["grpid\t:\t2", "nnsids\t:\t1", "chgcnt\t:\t0", "state\t:\tnon-optimized", "\tnsid\t:\t3", ""]
    group = command("nvme", "ana-log", url, "--json").json["ANA DESC LIST "][-1]  # type: ignore[index]
    assert group == {"grpid": 2, "nnsids": 1, "chgcnt": 0, "state": "non-optimized", "NSIDS": [{"nsid": 3}]}


def test_a_list_has_the_url_of_each_namespace(url: str) -> None:
    (_, _, line) = shown("list", url)
    assert line.split()[0] == f"{url}/3"
    assert line.split()[4:11] == ["NVMe", "0x3", "4.19", "MB", "/", "4.19", "MB"]


@pytest.mark.parametrize(
    ("words", "line", "key"),
    [
        ("id-ctrl", "cntrltype : 1", "cntrltype"),
        ("id-ns", "anagrpid: 2", "lbafs"),
        ("error-log --log-entries 2", " Entry[ 1]", "errors"),
        ("fw-log", "afi  : 0x1", ""),
        ("effects-log", "IOCS25   [Copy                            ] 00100003", "io_cmd_set"),
        ("changed-ns-list-log", "no ns changed", "changed_namespaces"),
        ("supported-log-pages", "LID 0xc - Asymmetric Namespace Access", "supported_logs"),
        ("get-feature --feature-id 6", "get-feature:0x06 (Volatile Write Cache), Current value:0x00000001", "Current"),
        ("get-feature --feature-id 0x0f --sel 3", "  Feature is changeable", "Supported capabilities"),
    ],
)
def test_a_page_is_shown(url: str, words: str, line: str, key: str) -> None:
    name, *options = words.split()
    assert line in shown(name, url, *options)
    assert (key or url) in command("nvme", name, url, *options, "--json").json


def test_a_controller_without_namespaces_is_shown(url: str) -> None:
    management = url.replace(NQN, MANAGEMENT)
    assert "cntrltype : 3" in shown("id-ctrl", management)
    assert shown("supported-log-pages", management)[1] == "LID 0 - Supported Log Pages"
    assert command("nvme", "ana-log", management).line.endswith(": invalid log page")
    # Nor is it in the way of a list of everything.
    whole = url.removesuffix(f"/{NQN}")
    assert [line.split()[0] for line in shown("list", whole)[2:]] == [f"{url}/3"]


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        ("get-feature --feature-id 0x44", 1, "get feature 0x44: invalid field"),
        ("get-feature", 2, "Missing option '--feature-id'"),
        ("get-feature --feature-id volatile", 2, "'volatile' is no number; write it as 6 or 0x06"),
        ("get-feature --feature-id 256", 2, "a feature has a number up to 0xff, not 0x100"),
        ("get-feature --feature-id 6 --sel 4", 2, "--sel"),
        ("get-feature --feature-id 6 --cdw11 -1", 2, "-1 is no number of 32 bits"),
        ("error-log --log-entries 0", 2, "--log-entries"),
    ],
)
def test_what_cannot_be_is_one_line(url: str, words: str, status: int, problem: str) -> None:
    name, *options = words.split()
    result = command("nvme", name, url, *options)
    assert (result.status, result.output) == (status, "")
    assert problem in result.line
