"""A configuration, opened: what hosts find, what they are told of changes, and what is left when it is closed."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.nvme.configuration import (
    AnaConfiguration,
    ConfigurationError,
    ConfiguredTarget,
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    ReferralConfiguration,
    ServedDirectory,
    SubsystemConfiguration,
    TargetConfiguration,
    load_configuration,
    open_configuration,
)
from stacks.nvme.stores import FaultyStore, NamespaceDirectory, create_image, open_directory, open_image
from stacks.nvme.stores.directory.folder import OsFolder
from stacks.nvme.target import PortAddress, Subsystem
from stacks.nvme.url import NvmeUrl
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.fabrics_rig import BLOCK, FabricsRig, host_nqn
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import IoOpcode, LogPage
from wire.nvme.status import StatusCode

URL = NvmeUrl("tcp", "127.0.0.1")
CHANGED = LogPage.CHANGED_NAMESPACES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_image(str(tmp_path / "disk.img"), 16 * BLOCK)
    (tmp_path / "state").mkdir()
    (tmp_path / "disks").mkdir()
    disks = open_directory(str(tmp_path / "disks"))
    disks.create(8 * BLOCK, nsid=10)
    disks.close()
    return tmp_path


def configured(folder: Path, *subsystems: SubsystemConfiguration, state: str = "") -> ConfiguredTarget:
    ports = (PortConfiguration(url=URL),)
    return ConfiguredTarget(
        TargetConfiguration(ports=ports, subsystems=subsystems, folder=str(folder), state=state)
    )


@pytest.fixture
def served(folder: Path) -> Iterator[ConfiguredTarget]:
    """An image, memory with faults, and a folder."""
    made = configured(
        folder,
        SubsystemConfiguration(
            nqn=NQN,
            namespaces=(
                NamespaceConfiguration(store=f"mem:{4 * BLOCK}", faults=(), has_cache=True),
                NamespaceConfiguration(store="disk.img", nsid=1, ana_group=2),
            ),
            directories=(DirectoryConfiguration(path="disks"),),
            ana=(AnaConfiguration(group=2, state=AnaState.NON_OPTIMIZED, portid=1),),
        ),
    )
    yield made
    made.close()


def test_hosts_find_what_the_configuration_says(served: ConfiguredTarget) -> None:
    host = FabricsRig(target=served.target).host()
    assert host.nsids() == [1, 2, 10]
    assert host.ana() == {1: (AnaState.OPTIMIZED, [2, 10]), 2: (AnaState.NON_OPTIMIZED, [1])}
    subsystem = served.subsystem()
    assert [subsystem.source(nsid).text for nsid in (1, 2)] == ["disk.img", "mem:16384"]
    assert subsystem.source(10).text.endswith("/disks/ns-10.img")
    assert isinstance(subsystem.subsystem.namespaces[2].store, FaultyStore)


def test_hosts_are_told_of_what_happens_in_a_folder(served: ConfiguredTarget, folder: Path) -> None:
    host = FabricsRig(target=served.target).host()
    subsystem, directory = served.directory("disks")
    assert subsystem.create_namespace(directory, 4 * BLOCK) == 3
    assert (host.news(), host.nsids()) == ([CHANGED], [1, 2, 3, 10])
    assert host.read(3, 3) == 0
    subsystem.resize_namespace(10, 16 * BLOCK)
    assert host.news() == [CHANGED]
    assert host.read(10, 15) == 0
    subsystem.resize_namespace(10, BLOCK, may_shrink=True)
    assert host.news() == [CHANGED]
    assert host.read(10, 1) == StatusCode.LBA_OUT_OF_RANGE
    assert (folder / "disks" / "ns-10.img").stat().st_size == BLOCK
    subsystem.delete_namespace(10)
    assert (host.news(), host.nsids()) == ([CHANGED], [1, 2, 3])
    assert not (folder / "disks" / "ns-10.img").exists()
    assert sorted(subsystem.sources) == [1, 2, 3]


def test_a_namespace_that_shrinks_does_so_for_hosts_before_its_file_is_cut(
    served: ConfiguredTarget, folder: Path
) -> None:
    host = FabricsRig(target=served.target).host()
    file, sizes = folder / "disks" / "ns-10.img", []
    served.directory()[1].on_change = lambda event, nsid: sizes.append((file.stat().st_size, host.read(10, 7)))
    served.subsystem().resize_namespace(10, BLOCK, may_shrink=True)
    assert sizes == [(8 * BLOCK, StatusCode.LBA_OUT_OF_RANGE)]


def test_namespaces_come_and_go_with_their_stores(served: ConfiguredTarget, folder: Path) -> None:
    host = FabricsRig(target=served.target).host()
    subsystem = served.subsystem(NQN)
    added = subsystem.add_namespace(NamespaceConfiguration(store=f"mem:{BLOCK}", visible_to=(host_nqn("one"),)))
    assert (added.nsid, host.news(), host.nsids()) == (3, [CHANGED], [1, 2, 3, 10])
    subsystem.resize_namespace(3, 2 * BLOCK)
    assert host.read(3, 1) == 0
    subsystem.remove_namespace(3).close()
    store = subsystem.remove_namespace(1)
    assert host.nsids() == [2, 10]
    with pytest.raises(LocalError, match="in use"):
        open_image(str(folder / "disk.img"))
    store.close()
    open_image(str(folder / "disk.img")).close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (NamespaceConfiguration(store="mem:4k", nsid=1), "has a namespace 1 already"),
        (NamespaceConfiguration(store="mem:4k", nsid=2000), "namespace 2000: numbers go from 1 to 1024"),
        (NamespaceConfiguration(store="mem:4k", identifier=uuid.UUID(int=5)), f"the UUID {uuid.UUID(int=5)} already"),
        (NamespaceConfiguration(store="none.img"), r"none\.img: no such file"),
        (NamespaceConfiguration(store="disk.img"), "image is in use"),
        (NamespaceConfiguration(store="mem:4k", ana_group=0), "ANA group 0"),
        (NamespaceConfiguration(store="mem:4k", visible_to=("x",)), "'x' is no NQN"),
    ],
)
def test_what_cannot_be_added_changes_nothing(
    served: ConfiguredTarget, wrong: NamespaceConfiguration, message: str
) -> None:
    subsystem = served.subsystem()
    subsystem.add_namespace(NamespaceConfiguration(store="mem:4k", identifier=uuid.UUID(int=5)))
    host = FabricsRig(target=served.target).host()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a count)
    with pytest.raises(LocalError, match=message):
        subsystem.add_namespace(wrong)
    assert (host.news(), host.nsids(), sorted(subsystem.sources)) == ([], [1, 2, 3, 10], [1, 2, 3, 10])
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_what_cannot_be_done_with_a_namespace_says_why(served: ConfiguredTarget) -> None:
    subsystem, directory = served.directory()
    for message, call in (
        ("is one of the folder .*disks; delete it there", lambda: subsystem.remove_namespace(10)),
        ("namespace 1 is disk.img, and in no folder", lambda: subsystem.delete_namespace(1)),
        ("has no namespace 7", lambda: subsystem.delete_namespace(7)),
        ("has no namespace 7", lambda: subsystem.resize_namespace(7, BLOCK)),
        ("shrinking must be asked for", lambda: subsystem.resize_namespace(10, BLOCK)),
        ("shrinking must be asked for", lambda: subsystem.resize_namespace(1, BLOCK)),
        ("not a positive multiple", lambda: subsystem.resize_namespace(1, 1000)),
        ("has a namespace 2 already", lambda: subsystem.create_namespace(directory, BLOCK, nsid=2)),
        ("numbers go from 1 to 1024", lambda: subsystem.create_namespace(directory, BLOCK, nsid=2000)),
        ("numbers go from 1 to 128", lambda: subsystem.create_namespace(directory, BLOCK, ana_group=500)),
        ("size is some blocks", lambda: subsystem.create_namespace(directory, 1000)),
        ("there is no subsystem nqn.x; there are: ", lambda: served.subsystem("nqn.x")),
        ("there is no folder d; there are: .*disks", lambda: served.directory("d")),
    ):
        with pytest.raises(LocalError, match=message):
            call()


class FullFolder(OsFolder):
    """A folder on a disk that is full from some moment on."""

    is_full = False

    def write(self, name: str, content: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(name, content)


def test_a_full_disk_is_one_line_and_changes_nothing(folder: Path) -> None:
    path = str(folder / "disks")
    subsystem, disks = Subsystem(NQN), FullFolder(path)
    served = ServedDirectory(path, NamespaceDirectory(disks), subsystem)
    host = FabricsRig(subsystem).host()
    before = (folder / "disks" / "manifest.toml").read_text()
    disks.is_full = True
    for change in (
        lambda: served.create(BLOCK),
        lambda: served.directory.delete(10),
        lambda: served.directory.resize(10, BLOCK, may_shrink=True),
    ):
        with pytest.raises(LocalError, match="disks: no space left on device"):
            change()
    assert (host.news(), host.nsids(), host.read(10, 7)) == ([], [10], 0)
    assert (folder / "disks" / "manifest.toml").read_text() == before
    served.close()


def test_subsystems_come_and_go(served: ConfiguredTarget, folder: Path) -> None:
    rig = FabricsRig(target=served.target)
    other = f"{NQN}-other"
    configuration = SubsystemConfiguration(nqn=other, namespaces=(NamespaceConfiguration(store="ro:new.img"),))
    with pytest.raises(LocalError, match=r"new\.img: no such file"):
        served.add_subsystem(configuration)
    create_image(str(folder / "new.img"), BLOCK)
    served.add_subsystem(configuration)
    with pytest.raises(LocalError, match="is there already"):
        served.add_subsystem(configuration)
    with pytest.raises(LocalError, match=f"say which subsystem; there are: {NQN}, {other}"):
        served.subsystem()
    host = rig.host(nqn=other)
    assert host.nsids() == [1]
    served.remove_subsystem(other).close()
    rig.settle()
    assert not host.is_connected
    open_image(str(folder / "new.img")).close()


def test_reservations_are_kept_where_the_configuration_says(folder: Path) -> None:
    subsystem = SubsystemConfiguration(
        nqn=NQN,
        namespaces=(NamespaceConfiguration(store="disk.img"), NamespaceConfiguration(store="mem:4k")),
        directories=(DirectoryConfiguration(path="disks"),),
    )
    for state in ("state", ""):
        made = configured(folder, subsystem, state=state)
        spaces = made.subsystem().subsystem.namespaces
        assert [spaces[nsid].reservations.can_persist for nsid in (1, 2, 10)] == [True, False, True]
        made.close()
    assert not list((folder / "state").iterdir())


def test_referrals_and_ports_are_those_of_the_configuration(folder: Path) -> None:
    address = PortAddress(TransportType.TCP, "192.0.2.9", 8009)
    ports = (PortConfiguration(url=URL), PortConfiguration(url=NvmeUrl("rdma", "127.0.0.2"), portid=1, serves=()))
    made = ConfiguredTarget(TargetConfiguration(ports=ports, referrals=(ReferralConfiguration(address=address),)))
    assert list(made.target.discovery.referrals) == [address]
    assert [port.portid for port in made.ports] == [2, 1]
    made.close()


TEXT = f"""\
[[port]]
listen = "nvme+tcp://127.0.0.1"
[[subsystem]]
nqn = "{NQN}"
[[subsystem.namespace]]
store = "disk.img"
[[subsystem.directory]]
path = "disks"
"""


def test_what_cannot_be_opened_is_told_with_its_line_and_leaves_nothing_locked(folder: Path) -> None:
    (folder / "target.toml").write_text(TEXT)
    for path, line, opened in (("disks", 8, open_directory), ("disk.img", 6, open_image)):
        held = opened(str(folder / path))
        with pytest.raises(ConfigurationError, match=rf"target\.toml:{line}: .* in use by this process already"):
            open_configuration(folder / "target.toml")
        held.close()
    made = open_configuration(folder / "target.toml")
    assert sorted(made.subsystem().sources) == [1, 10]
    made.close()
    open_image(str(folder / "disk.img")).close()


def test_a_namespace_without_a_number_gets_one_that_the_folder_has_not(folder: Path) -> None:
    disks = open_directory(str(folder / "disks"))
    disks.create(BLOCK, nsid=1)
    disks.close()
    (folder / "target.toml").write_text(TEXT)
    configuration, origin = load_configuration(folder / "target.toml")
    made = ConfiguredTarget(configuration, origin=origin)
    assert sorted(made.subsystem().sources) == [1, 2, 10]
    assert made.subsystem().source(2).text == "disk.img"
    made.close()


def test_what_a_power_cut_loses_is_the_cache(served: ConfiguredTarget) -> None:
    host = FabricsRig(target=served.target).host()
    assert host.io.io(IoOpcode.WRITE, 0, 1, nsid=2, data=b"x" * BLOCK).status == 0
    store = served.subsystem().subsystem.namespaces[2].store
    assert isinstance(store, FaultyStore)
    store.power_cut()
    assert store.report().power_cuts == 1
