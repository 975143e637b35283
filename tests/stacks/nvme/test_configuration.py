"""What a document says of a target, and everything that can be wrong with it, with its line."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig
from stacks.nvme.configuration import (
    AnaConfiguration,
    ConfigurationError,
    ConfiguredTarget,
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    ReferralConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
    load_configuration,
    read_configuration,
)
from stacks.nvme.configuration.values import numbered
from stacks.nvme.stores import create_image, open_directory, open_store, parse_fault
from stacks.nvme.target import PortAddress
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from stacks.nvme.url import NvmeUrl
from stacks.runtime import LocalError
from wire.nvme.kinds import AnaState, TransportType

DISK = "nqn.2026-11.io.baremetal:disk"
HOST = "nqn.2026-11.io.baremetal:alice"

WHOLE = f"""\
state = "state"
discovery_nqn = "nqn.2026-11.io.baremetal:here"

[[port]]
listen = "nvme+tcp://0.0.0.0:4421"
id = 7
serves = ["{DISK}"]
in_capsule = "16KiB"
queues = 64
host_data = 65536
digests = "header"

[[port]]
listen = "nvme+rdma://127.0.0.2"

[[port]]
listen = "nvme+tcp://[::1]:8009"
serves = []

[[subsystem]]
nqn = "{DISK}"
serial = "S1"
model = "M 1"
allowed_hosts = ["{HOST}"]
max_controllers = 3

  [[subsystem.namespace]]
  store = "overlay:golden.img+mine.layer"
  nsid = 5
  block_size = 512
  uuid = "2b1c0b70-5b0a-4bd1-9c53-6f6f7e2d9a11"
  ana_group = 2
  visible_to = ["{HOST}"]
  read_only = true
  faults = ["read:error=EIO,blocks=1..2"]
  cache = true
  seed = 9

  [[subsystem.namespace]]
  store = "mem:1MiB"

  [[subsystem.directory]]
  path = "disks"
  visible_to = []

  [[subsystem.ana]]
  group = 2
  state = "non-optimized"
  port = 7

[[subsystem]]
nqn = "{DISK}-management"
kind = "administrative"

[[referral]]
to = "nvme+tcp://192.0.2.9:8009"
"""


def test_everything_that_can_be_said_is_read() -> None:
    configuration, origin = read_configuration(WHOLE, "target.toml", folder="/srv")
    assert configuration == TargetConfiguration(
        ports=(
            PortConfiguration(
                url=NvmeUrl("tcp", "0.0.0.0", 4421),
                portid=7,
                serves=(DISK,),
                in_capsule_bytes=16384,
                connections_max=64,
                host_data_bytes=65536,
                digests=1,
            ),
            PortConfiguration(url=NvmeUrl("rdma", "127.0.0.2")),
            PortConfiguration(url=NvmeUrl("tcp", "::1", 8009), serves=()),
        ),
        subsystems=(
            SubsystemConfiguration(
                nqn=DISK,
                serial="S1",
                model="M 1",
                allowed_hosts=(HOST,),
                controllers_max=3,
                namespaces=(
                    NamespaceConfiguration(
                        store="overlay:golden.img+mine.layer",
                        nsid=5,
                        block_bytes=512,
                        identifier=uuid.UUID("2b1c0b70-5b0a-4bd1-9c53-6f6f7e2d9a11"),
                        ana_group=2,
                        visible_to=(HOST,),
                        is_read_only=True,
                        faults=(parse_fault("read:error=EIO,blocks=1..2"),),
                        has_cache=True,
                        seed=9,
                    ),
                    NamespaceConfiguration(store="mem:1MiB"),
                ),
                directories=(DirectoryConfiguration(path="disks", visible_to=()),),
                ana=(AnaConfiguration(group=2, state=AnaState.NON_OPTIMIZED, portid=7),),
            ),
            SubsystemConfiguration(nqn=f"{DISK}-management", kind=ADMINISTRATIVE),
        ),
        referrals=(ReferralConfiguration(address=PortAddress(TransportType.TCP, "192.0.2.9", 8009)),),
        discovery_nqn="nqn.2026-11.io.baremetal:here",
        folder="/srv",
        state="state",
    )
    assert origin.lines[configuration.subsystems[0].namespaces[1].place] == 39


def test_what_is_left_out_has_its_usual_value() -> None:
    configuration, _ = read_configuration('port = [{listen = "nvme+tcp://127.0.0.1"}]', "t")
    assert configuration == TargetConfiguration(ports=(PortConfiguration(url=NvmeUrl("tcp", "127.0.0.1")),))
    port = configuration.ports[0]
    assert (port.tcp_config(), port.rdma_config()) == (TcpTargetConfig(), RdmaTargetConfig())


def test_ports_without_a_number_get_those_that_are_free() -> None:
    ports = [PortConfiguration(url=NvmeUrl("tcp", "127.0.0.1", 4420 + index), portid=portid)
             for index, portid in enumerate((0, 1, 0, 3))]  # fmt: skip
    assert [port.portid for port in numbered(ports)] == [2, 1, 4, 3]


PORT = '[[port]]\nlisten = "nvme+tcp://127.0.0.1"\n'
SUBSYSTEM = f'[[subsystem]]\nnqn = "{DISK}"\n'
SPACE = f'{PORT}{SUBSYSTEM}[[subsystem.namespace]]\nstore = "mem:1MiB"\n'

MISTAKES = [
    ("", "1: there is no port; add [[port]] with listen"),
    ("port = 5", "1: a port starts with [[port]], in two pairs of brackets"),
    ("[port]\nx = 1", "1: a port starts with [[port]]"),
    ("[[port]]\n", '1: port needs listen, such as listen = "nvme+tcp://127.0.0.1"'),
    ("[[port]]\nlisten = 5", "2: listen is text in quotes, not 5"),
    ('[[port]]\nlisten = "disk.img"', "2: listen: 'disk.img' is no NVMe URL"),
    ('[[port]]\nlisten = "nvme+rdma://0.0.0.0"', "2: listen is the address of one interface, not 0.0.0.0"),
    ('[[port]]\nlisten = "nvme+tcp://224.0.0.1"', "2: listen is the address of one interface, not 224.0.0.1"),
    (f'[[port]]\nlisten = "nvme+tcp://127.0.0.1/{DISK}"', f"2: listen is to end with the port number, not {DISK}"),
    (f"{PORT}lisen = 1", "3: unknown key 'lisen'; is it listen?"),
    (f"{PORT}x = 1", "3: unknown key 'x'; there are: listen, id, serves, in_capsule, queues, host_data, digests"),
    (f"{PORT}id = 0", "3: id is a whole number from 1 to 65535, not 0"),
    (f"{PORT}id = true", "3: id is a whole number from 1 to 65535, not True"),
    (f'{PORT}in_capsule = "8K"\n{PORT}in_capsule = 100', "6: in_capsule is 0 to 32768 bytes, in steps of 16"),
    (f'{PORT}in_capsule = "much"', "3: in_capsule is a size such as 8192 or \"8KiB\", not 'much'"),
    (f'{PORT}digests = "all"', "3: digests is not 'all'; there are: none, header, data, both"),
    (f"{PORT}digests = 3", "3: digests is not 3; there are: none, header, data, both"),
    ('[[port]]\nlisten = "nvme+rdma://127.0.0.2"\ndigests = "both"', "3: digests is for ports that"),
    (f"{PORT}serves = 5", "3: serves is a list in brackets, not 5"),
    (f'{PORT}serves = [\n"{DISK}",\n"disk"]', "5: each of serves: 'disk' is no NQN"),
    (f'{PORT}serves = [\n"{DISK}s"]\n{SUBSYSTEM}', f"4: there is no subsystem {DISK}s; is it {DISK}?"),
    (f"{PORT}id = 1\n{PORT.replace('0.0.1', '0.0.2')}id = 1", "6: there is a port 1 already"),
    (f"{PORT}{PORT}", "4: a port listens at 127.0.0.1:4420 already; choose another port number"),
    (
        '[[port]]\nlisten = "nvme+rdma://[::1]"\n[[port]]\nlisten = "nvme+rdma://[::1]:4421"',
        "4: a device has [::1] already, and it has the whole address",
    ),
    (f'{PORT}[[subsystem]]\nnqn = "disk"', "4: nqn: 'disk' is no NQN"),
    (f"{PORT}[[subsystem]]\n", "3: subsystem needs nqn, such as nqn ="),
    (f"{PORT}{SUBSYSTEM}{SUBSYSTEM}", f"6: subsystem {DISK} is there already"),
    (f'{PORT}{SUBSYSTEM}serial = "{"x" * 21}"', "5: serial is at most 20 plain characters"),
    (f'{PORT}{SUBSYSTEM}model = "ü"', "5: model is at most 40 plain characters, not 'ü'"),
    (f'{PORT}{SUBSYSTEM}kind = "admin"', "5: kind is not 'admin'; is it administrative?"),
    (f"{PORT}{SUBSYSTEM}max_controllers = 0", "5: max_controllers is a whole number from 1 to 65519, not 0"),
    (f'{PORT}{SUBSYSTEM}allowed_hosts = ["alice"]', "5: each of allowed_hosts: 'alice' is no NQN"),
    (f'discovery_nqn = "{DISK}"\n{PORT}{SUBSYSTEM}', f"5: {DISK} is the discovery service's name; choose another"),
    (f"{PORT}{SUBSYSTEM}[[subsystem.namespace]]\n", '5: namespace needs store, such as store = "disk.img"'),
    (f"{PORT}{SUBSYSTEM}[subsystem.namespace]\n", "5: a namespace starts with [[subsystem.namespace]]"),
    (f"{SPACE}nsid = 1025", "7: nsid is a whole number from 1 to 1024, not 1025"),
    (f"{SPACE}block_size = 1000", "7: block_size is 512 or 4096, not 1000"),
    (f'{SPACE}uuid = "5"', "7: uuid is a UUID, 32 hexadecimal digits, not '5'"),
    (f'{SPACE}uuid = "{uuid.UUID(int=0)}"', "7: uuid is not all zeroes"),
    (f"{SPACE}ana_group = 129", "7: ana_group is a whole number from 1 to 128, not 129"),
    (f'{SPACE}read_only = "yes"', "7: read_only is true or false, not 'yes'"),
    (f'{SPACE}faults = ["read:delay=1ms",\n"read:error=EWHAT"]', "8: each of faults: error is the name"),
    (SPACE.replace("mem:1MiB", "faulty:mem:much"), "6: store: 'much' is not a size; write 4096, 4k"),
    (SPACE.replace("mem:1MiB", "overlay:a"), "6: store: overlay:a has no base or no layer"),
    (SPACE.replace("mem:1MiB", "dir:disks"), "6: store: dir:disks has several namespaces"),
    (f'{SPACE}nsid = 3\n[[subsystem.namespace]]\nstore = "mem:1k"\nnsid = 3', "10: there is a namespace 3"),
    (
        f'{SPACE}[[subsystem.namespace]]\nstore = "a.img"\n[[subsystem.namespace]]\nstore = "overlay:./a.img+mem:"',
        "10: ./a.img is used already; a file that is written belongs to one namespace",
    ),
    (
        f'{PORT}{SUBSYSTEM}[[subsystem.namespace]]\nstore = "overlay:a.img+a.img"',
        "6: a.img is used already",
    ),
    (f"{PORT}{SUBSYSTEM}[[subsystem.directory]]\n", '5: directory needs path, such as path = "disks"'),
    (f'{PORT}{SUBSYSTEM}kind = "administrative"\n[[subsystem.directory]]\npath = "x"', f"6: {DISK} has no"),
    (f'{PORT}{SUBSYSTEM}[[subsystem.ana]]\ngroup = 1\nstate = "change"', "7: state is not 'change'; there are:"),
    (
        f'{PORT}{SUBSYSTEM}[[subsystem.ana]]\ngroup = 1\nstate = "optimized"\nport = 2',
        "8: there is no port 2; there are: 1",
    ),
    (
        f'{PORT}{SUBSYSTEM}{2 * chr(10).join(["[[subsystem.ana]]", "group = 1", "state = " + repr("optimized"), ""])}',
        "9: the state of that group there is said already",
    ),
    (f'{PORT}[[referral]]\nto = "nvme+tcp://0.0.0.0"', "4: to: nobody can connect to 0.0.0.0 port 4420"),
    (f'{PORT}[[referral]]\nto = "nvme+tcp://192.0.2.1/5"', "4: to is to end with the port number"),
    (2 * f'{PORT}[[referral]]\nto = "nvme+tcp://192.0.2.1"\n', "6: a port listens"),
    ("statefolder = 1", "1: unknown key 'statefolder'; is it state?"),
    ("a = = 1", "1: invalid value"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_a_mistake_is_told_with_its_line(text: str, line: str) -> None:
    with pytest.raises(LocalError) as caught:
        read_configuration(text, "target.toml")
    assert str(caught.value).startswith(f"target.toml:{line}")
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    text = f'{PORT}id = 0\nserve = []\n[[subsystem]]\nnqn = "{DISK}"\nserial = 5\n'
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(text, "t.toml")
    assert str(caught.value).endswith("not 0 (and 2 more mistakes)")
    assert caught.value.lines == [
        "t.toml:3: id is a whole number from 1 to 65535, not 0",
        "t.toml:4: unknown key 'serve'; is it serves?",
        "t.toml:7: serial is text in quotes, not 5",
    ]


def test_what_a_program_makes_wrong_has_no_lines() -> None:
    url = NvmeUrl("tcp", "127.0.0.1")
    with pytest.raises(ConfigurationError, match="^a port listens at 127.0.0.1:4420 already; choose another"):
        ConfiguredTarget(TargetConfiguration(ports=(PortConfiguration(url=url), PortConfiguration(url=url))))


def test_a_document_with_any_line_gone_is_read_or_refused_with_a_line() -> None:
    lines = WHOLE.splitlines(keepends=True)
    for index in range(len(lines)):
        said = complaint("".join(lines[:index] + lines[index + 1 :]))
        assert not said or said.startswith("t.toml:")


def test_a_document_with_a_value_of_another_type_is_read_or_refused_with_its_line() -> None:
    rng = random.Random(4)
    lines = WHOLE.splitlines()
    values = ["true", "-1", "1.5", '""', '"x"', "[]", "[[]]", "{}", "[{a = 1}]", "1979-05-27", "nan"]
    for number, line in enumerate(lines, 1):
        key, equals, _ = line.partition(" = ")
        if not equals:
            continue
        value = values[int(rng.random() * len(values))]
        said = complaint("\n".join([*lines[: number - 1], f"{key} = {value}", *lines[number:]]))
        # A port or subsystem of another name makes what names it wrong.
        assert not said or said.startswith(f"t.toml:{number}: ") or "there is no" in said, (line, value, said)


def complaint(text: str) -> str:
    try:
        read_configuration(text, "t.toml")
    except LocalError as error:
        return str(error)
    return ""


class TestFiles:
    """What is to be there, and is not."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        create_image(str(tmp_path / "golden.img"), 8192)
        open_store("overlay:golden.img+mine.layer", block_bytes=512, folder=tmp_path).close()
        for name in ("state", "disks"):
            (tmp_path / name).mkdir()
        (tmp_path / "target.toml").write_text(WHOLE)
        return tmp_path

    def test_a_configuration_whose_files_are_there_is_loaded_and_leaves_no_trace(self, folder: Path) -> None:
        configuration, _ = load_configuration(folder / "target.toml")
        assert configuration.folder == str(folder)
        found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        assert found == ["disks", "golden.img", "mine.layer", "state", "target.toml"]

    def test_what_is_missing_is_told_with_its_line(self, folder: Path) -> None:
        (folder / "golden.img").unlink()
        for name in ("state", "disks"):
            (folder / name).rmdir()
        with pytest.raises(ConfigurationError) as caught:
            load_configuration(folder / "target.toml")
        assert [line.removeprefix(f"{folder}/") for line in caught.value.lines] == [
            f"target.toml:1: {folder}/state: no such folder; make it: mkdir -p {folder}/state",
            f"target.toml:28: {folder}/golden.img: no such file; make one: truncate -s 1G {folder}/golden.img",
            f"target.toml:43: {folder}/disks: no such folder; make it: mkdir -p {folder}/disks",
        ]

    def test_a_folder_whose_numbers_are_taken_is_told(self, folder: Path) -> None:
        disks = open_directory(str(folder / "disks"))
        disks.create(8192, nsid=5)
        disks.close()
        with pytest.raises(ConfigurationError, match=r"target.toml:43: namespace 5 of disks is there already"):
            load_configuration(folder / "target.toml")

    def test_a_manifest_that_is_wrong_is_told_with_both_lines(self, folder: Path) -> None:
        (folder / "disks" / "manifest.toml").write_text("version = 2\n")
        with pytest.raises(ConfigurationError, match=r"43: .*/disks/manifest.toml:1: version is 1"):
            load_configuration(folder / "target.toml")

    def test_a_file_that_is_no_configuration(self, folder: Path) -> None:
        with pytest.raises(LocalError, match=r"none\.toml: no such file"):
            load_configuration(folder / "none.toml")
        (folder / "binary").write_bytes(b"\xff\xfe")
        with pytest.raises(LocalError, match="binary is no text, and a configuration is a TOML file"):
            load_configuration(folder / "binary")
