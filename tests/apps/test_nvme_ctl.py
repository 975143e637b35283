"""`baremetal nvme ctl`: every verb, at a target that serves; what it says, and what is true afterwards."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.nvme.ctl import asking
from apps.nvme.management.manager import read_arguments
from apps.nvme.management.verbs import VERBS
from stacks.nvme import sync
from stacks.nvme.configuration import (
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.nvme.host import CommandFailed, ConnectionFailed, HostConfig, HostNamespace, ReconnectPolicy
from stacks.nvme.stores import create_image
from stacks.nvme.sync import Connection
from stacks.nvme.url import NvmeUrl
from tests.apps.managed import ManagedTarget, Result, command, control_folder, managed
from transports.control import ControlClient, ControlError
from wire.nvme.reservations import ReservationType

__all__ = ["control_folder"]

pytestmark = pytest.mark.slow

MIB = 1 << 20
ANA_CHANGED = 0x0C0302
NQN = "nqn.2026-11.io.baremetal:disk"
ALICE, BOB = "nqn.2026-11.io.baremetal:alice", "nqn.2026-11.io.baremetal:bob"


@pytest.fixture
def url(loopback_addresses: Iterator[str]) -> NvmeUrl:
    return NvmeUrl("tcp", next(loopback_addresses), nqn=NQN)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    create_image("disk.img", MIB)
    create_image("more.img", MIB)
    (tmp_path / "disks").mkdir()
    return tmp_path


@pytest.fixture
def target(url: NvmeUrl, folder: Path, control_folder: Path) -> Iterator[ManagedTarget]:
    configuration = TargetConfiguration(
        ports=(PortConfiguration(url=NvmeUrl("tcp", url.host)),),
        subsystems=(
            SubsystemConfiguration(
                nqn=NQN,
                namespaces=(
                    NamespaceConfiguration(store="disk.img"),
                    NamespaceConfiguration(store="overlay:mem:1MiB+mem:", faults=(), has_cache=True),
                ),
                directories=(DirectoryConfiguration(path="disks"),),
            ),
        ),
        folder=str(folder),
    )
    with managed(configuration) as target:
        yield target


def ctl(*words: str) -> Result:
    return command("nvme", "ctl", *words)


def done(*words: str) -> str:
    """What a verb that works prints."""
    result = ctl(*words)
    assert result.status == 0, result.line
    return result.output.strip()


def until(connection: Connection, condition: Callable[[], bool]) -> None:
    connection.run_until(condition)


def test_what_a_target_has_is_listed(target: ManagedTarget, url: NvmeUrl) -> None:
    with sync.attach(url, config=HostConfig(host_nqn=ALICE)):
        found = ctl("list", "--json").json
        text = done("list")
    assert found["pid"] == os.getpid()
    assert found["ports"] == [{"portid": 1, "transport": "tcp", "address": f"{url.host}:4420", "serves": None}]
    (subsystem,) = found["subsystems"]  # type: ignore[misc]
    assert [(each["nsid"], each["source"], each["snapshots"], each["faults"]) for each in subsystem["namespaces"]] == [
        (1, "disk.img", None, None),
        (2, "overlay:mem:1MiB+mem:", [], []),
    ]
    (controller,) = found["controllers"]  # type: ignore[misc]
    assert (controller["host_nqn"], controller["remote"]) == (ALICE, "127.0.0.1")
    for words in (NQN, ALICE, f"{url.host}:4420", "disk.img", "1 MiB", "1 optimized", "disks"):
        assert words in text


def test_namespaces_come_grow_and_go_while_a_host_watches(target: ManagedTarget, url: NvmeUrl, folder: Path) -> None:
    with sync.attach(url) as connection:

        def spaces() -> dict[int, HostNamespace]:
            return connection.host.namespaces

        assert done("add-namespace", "mem:2MiB", "--nsid", "7") == f"added namespace 7 of {NQN}: mem:2MiB, 2 MiB"
        until(connection, lambda: 7 in spaces())
        assert done("resize", "7", "4MiB") == f"resized namespace 7 of {NQN}: mem:2MiB, 4 MiB"
        until(connection, lambda: spaces()[7].size_bytes == 4 * MIB)
        done("remove-namespace", "7")
        until(connection, lambda: 7 not in spaces())
        assert done("create", "3MiB") == f"created namespace 3 of {NQN}: {folder}/disks/ns-3.img, 3 MiB"
        until(connection, lambda: 3 in spaces())
        assert "--shrink, if what is there may be lost" in ctl("resize", "3", "1MiB").line
        done("resize", "3", "1MiB", "--shrink")
        until(connection, lambda: spaces()[3].size_bytes == MIB)
        assert (folder / "disks" / "ns-3.img").stat().st_size == MIB
        done("delete", "3")
        until(connection, lambda: 3 not in spaces())
    assert not (folder / "disks" / "ns-3.img").exists()


def test_a_store_is_where_whoever_adds_it_is(
    target: ManagedTarget, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    create_image("mine.img", MIB)
    answer = ctl("add-namespace", "mine.img", "--read-only", "--block-size", "512", "--json").json
    assert (answer["source"], answer["block_count"]) == (f"{tmp_path}/elsewhere/mine.img", 2048)
    assert answer["is_read_only"] is True
    assert "no such file" in ctl("add-namespace", "disk.img").line
    assert "mine.img: image is in use by this process already" in ctl("add-namespace", "mine.img").line


def test_a_namespace_is_shown_to_some_hosts(target: ManagedTarget) -> None:
    done("add-namespace", "mem:1MiB", "--visible-to", ALICE, "--uuid", "2b1c0b70-5b0a-4bd1-9c53-6f6f7e2d9a11")
    assert done("show", "3", BOB) == f"namespace 3 is visible to {ALICE}, {BOB}"
    assert done("hide", "3", ALICE) == f"namespace 3 is visible to {BOB}"
    assert "is not visible to" in ctl("hide", "3", ALICE).line
    assert done("show", "3", "--all") == "namespace 3 is visible to every host"
    assert ctl("hide", "3", ALICE).line.endswith("every host; say first which hosts see it: hide --all, then show")
    assert done("hide", "3", "--all") == "namespace 3 is visible to no host"
    assert done("set-group", "3", "5") == "namespace 3 belongs to ANA group 5"
    assert ctl("list", "--json").json["subsystems"][0]["namespaces"][2]["ana_group"] == 5  # type: ignore[index]


def test_hosts_are_let_in_kept_out_and_disconnected(target: ManagedTarget, url: NvmeUrl) -> None:
    alice = HostConfig(host_nqn=ALICE)
    with sync.attach(url, config=alice, reconnect=None) as connection:
        assert done("kick", ALICE) == f"disconnected controller {connection.host.cntlid} of {NQN}"
        with pytest.raises(ConnectionFailed):
            until(connection, lambda: False)
    with sync.attach(url, config=alice, reconnect=None) as connection:
        done("kick", "--controller", str(connection.host.cntlid))
        with pytest.raises(ConnectionFailed):
            until(connection, lambda: False)
    assert f"{BOB} is not connected; there are: none" in ctl("kick", BOB).line
    assert ctl("deny", ALICE).line.endswith("in; say first which hosts may connect: deny --all, then allow")
    assert done("deny", "--all") == f"{NQN} lets in no host"
    assert done("allow", BOB) == f"{NQN} lets in {BOB}"
    with pytest.raises(ConnectionFailed, match="host"), sync.attach(url, config=alice, reconnect=None):
        pass
    assert done("allow", ALICE) == f"{NQN} lets in {ALICE}, {BOB}"
    assert done("deny", BOB, "--nqn", NQN) == f"{NQN} lets in {ALICE}"
    assert done("allow", "--all") == f"{NQN} lets in every host"


def test_a_host_that_is_kicked_comes_back_and_one_that_is_denied_does_not(target: ManagedTarget, url: NvmeUrl) -> None:
    patience = ReconnectPolicy(reconnect_delay=0.05, ctrl_loss_tmo=600)
    with sync.attach(url, config=HostConfig(host_nqn=ALICE), reconnect=patience) as connection:
        before = connection.host.cntlid
        done("kick", ALICE)
        until(connection, lambda: connection.multipath.is_live and connection.host.cntlid != before)
        done("deny", "--all")
        # Connect Invalid Host says Do Not Retry, so that 600 seconds are not waited for.
        with pytest.raises(ConnectionFailed, match=f"does not let host {ALICE} in"):
            until(connection, lambda: False)


def test_ana_states_change_and_hosts_are_told(target: ManagedTarget, url: NvmeUrl) -> None:
    def states() -> object:
        return ctl("list", "--json").json["controllers"][0]["ana"]  # type: ignore[index]

    with sync.attach(url) as connection:
        assert done("set-ana", "1", "inaccessible", "--port", "1") == "ANA group 1 at port 1 is inaccessible"
        until(connection, lambda: ANA_CHANGED in connection.host.events)
        assert states() == {"1": "inaccessible"}
        assert done("set-ana", "1", "optimized", "--after", "10s") == "ANA group 1 is to be optimized"
        assert states() == {"1": "change"}
    assert "there is no port 4; there are: 1" in ctl("set-ana", "1", "optimized", "--port", "4").line
    assert "at most 10 seconds" in ctl("set-ana", "1", "optimized", "--after", "3600s").line
    assert done("set-ana", "2", "change", "--after", "2s") == "ANA group 2 is in change, for 2 s at most"


def test_ports_and_referrals_come_and_go(
    target: ManagedTarget, url: NvmeUrl, loopback_addresses: Iterator[str]
) -> None:
    address = next(loopback_addresses)
    place = f"nvme+tcp://{address}:4420"
    assert done("add-port", place, "--id", "5", "--discovery") == f"port 5 listens at {place}, for discovery alone"
    assert {each.host for each in sync.discover(place) if each.kind == "nvm"} == {url.host}
    assert done("set-serves", "5", NQN) == f"port 5 serves {NQN}"
    assert {each.host for each in sync.discover(place) if each.kind == "nvm"} >= {address}
    assert done("set-serves", "5", "--all") == "port 5 serves every subsystem"
    assert done("set-serves", "5") == "port 5 serves discovery alone"
    assert "there is a port 5 already" in ctl("add-port", "nvme+tcp://127.0.0.1:4499", "--id", "5").line
    assert "it is taken" in ctl("add-port", place).line
    assert f"there is no subsystem {ALICE}" in ctl("set-serves", "5", ALICE).line
    assert done("add-referral", "nvme+tcp://192.0.2.9:8009") == "hosts are sent to nvme+tcp://192.0.2.9:8009"
    assert "192.0.2.9" in {each.host for each in sync.discover(place)}
    assert "already" in ctl("add-referral", "nvme+tcp://192.0.2.9:8009").line
    assert ctl("remove-referral", "nvme+tcp://192.0.2.9:8009", "--json").json["referrals"] == []
    assert done("remove-port", "5") == f"port 5 listens no more at {place}, for discovery alone"
    with pytest.raises(ConnectionFailed):
        sync.discover(place)
    assert "there is no port 5; there are: 1" in ctl("remove-port", "5").line


def test_subsystems_come_and_go(target: ManagedTarget) -> None:
    other = f"{NQN}-other"
    assert done("add-subsystem", other, "--allow", ALICE, "--serial", "S9") == f"{other} lets in {ALICE}"
    assert f"say which subsystem; there are: {NQN}, {other}" in ctl("add-namespace", "mem:1MiB").line
    done("add-namespace", "mem:1MiB", "--nqn", other)
    assert f"{other} is there already" in ctl("add-subsystem", other).line
    assert done("remove-subsystem", other) == f"{other} is served no more"
    assert f"there is no subsystem {other}; there are: {NQN}" in ctl("remove-subsystem", other).line


def test_stores_fail_lose_power_and_go_back_when_told(target: ManagedTarget, url: NvmeUrl) -> None:
    with sync.connect(NvmeUrl("tcp", url.host, nqn=NQN, nsid=2)) as namespace:
        namespace.write(0, b"a" * 4096)
        assert done("snapshot", "2", "monday") == "namespace 2 has the snapshots: monday"
        namespace.write(0, b"b" * 4096)
        assert done("rollback", "2", "monday") == "namespace 2 is as it was at monday"
        assert namespace.read(0) == b"a" * 4096
        namespace.write(0, b"c" * 4096)
        assert done("power-cut", "2").startswith("power cuts 1: ")
        assert "read:error=EIO" in done("store-faults", "2", "--add", "read:error=EIO")
        with pytest.raises(CommandFailed, match="unrecovered read error"):
            namespace.read(0)
        report = ctl("store-faults", "2", "--clear", "--json").json
        assert (report["rules"], report["errors"], report["power_cuts"]) == ([], 1, 1)
        namespace.read(0)
    assert done("delete-snapshot", "2", "monday") == "namespace 2 has the snapshots: none"
    assert "no snapshot monday; there are: none" in ctl("rollback", "2", "monday").line
    assert "serve it as faulty:STORE" in ctl("store-faults", "1").line
    assert "serve it as overlay:BASE+LAYER" in ctl("snapshot", "1", "monday").line


def test_reservations_are_shown_with_their_hosts(target: ManagedTarget, url: NvmeUrl) -> None:
    assert done("reservations") == "nobody has registered"
    with sync.connect(NvmeUrl("tcp", url.host, nqn=NQN, nsid=1), config=HostConfig(host_nqn=ALICE)) as namespace:
        namespace.reservation_register(0xA1)
        namespace.reservation_acquire(0xA1, ReservationType.WRITE_EXCLUSIVE)
        text = done("reservations")
        (found,) = ctl("reservations", "1", "--json").json["namespaces"]  # type: ignore[misc]
    assert all(words in text for words in ("0xa1", "write-exclusive", ALICE))
    assert (found["kind"], list(found["registrants"].values())) == ("write-exclusive", [0xA1])


def test_a_target_ends_when_it_is_drained(target: ManagedTarget) -> None:
    assert done("drain") == f"target {os.getpid()} ends, with 0 connections"
    target.join()
    assert "no target of yours runs here; start one" in ctl("list").line


def test_one_of_several_targets_is_named_by_its_number(
    target: ManagedTarget, control_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SHORT_TIMEOUT_S", 0.05)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with other:
        other.bind(str(control_folder / "baremetal" / "nvme-target-1.sock"))
        other.listen(8)
        other.settimeout(0)
        line = ctl("list").line
        assert line.startswith("2 targets run here: 1 (it does not answer), ")
        assert line.endswith("; say which with --target PID")
        assert ctl("--target", str(os.getpid()), "list").status == 0
        assert (
            f"no target 7 of yours runs here; there are: 1 (it does not answer), {os.getpid()}"
            in ctl("--target", "7", "list").line
        )
    assert ctl("--target", "nvme-target", "list").status == 0
    assert not (control_folder / "baremetal" / "nvme-target-1.sock").exists()


def test_nobody_listens(control_folder: Path) -> None:
    result = ctl("list")
    assert (result.status, result.line) == (
        1,
        "no target of yours runs here; start one: baremetal nvme target --namespace mem:64MiB",
    )


@pytest.mark.parametrize(
    "words",
    [
        "dance",
        "add-namespace",
        "add-namespace mem:much",
        "add-namespace overlay:x",
        "add-namespace mem:1MiB --nsid 2000",
        "add-namespace mem:1MiB --uuid x",
        "add-namespace mem:1MiB --block-size 1000",
        "add-namespace mem:1MiB --fault read",
        "add-namespace mem:1MiB --visible-to alice",
        "resize 1",
        "resize 0 1MiB",
        "resize x 1MiB",
        "create much",
        "show 1",
        f"show 1 {ALICE} --all",
        "show 1 alice",
        "deny",
        "kick",
        f"kick {ALICE} --controller 1",
        "set-ana 1 sleepy",
        "set-ana 200 optimized",
        "set-ana 1 optimized --after soon",
        "add-port 127.0.0.1",
        f"add-port nvme+tcp://127.0.0.1/{NQN}",
        "add-port nvme+rdma://0.0.0.0",
        "add-referral nvme+tcp://0.0.0.0",
        f"set-serves 1 {NQN} --all",
        "add-subsystem disk",
        "snapshot 1",
        "store-faults 1 --add read",
        "list --target 1",
    ],
)
def test_a_wrong_argument_is_status_two(words: str, control_folder: Path) -> None:
    result = ctl(*words.split())
    assert (result.status, result.output) == (2, ""), result.line
    assert result.line.endswith("--help tells how the command is used")


@pytest.mark.parametrize("verb", VERBS)
def test_the_arguments_of_a_verb_are_checked_before_it_runs(verb: str) -> None:
    arguments = VERBS[verb].arguments
    needed = [key for key, argument in arguments.items() if argument.is_needed]
    if needed:
        with pytest.raises(ControlError, match=f"^{verb} needs {needed[0]}$"):
            read_arguments(verb, VERBS[verb], {})
    for key in arguments:
        with pytest.raises(ControlError) as caught:
            read_arguments(verb, VERBS[verb], {**{each: {} for each in needed}, key: {"a": 1}})
        assert any(each in str(caught.value) for each in (key, *needed))
    with pytest.raises(ControlError, match="needs|unknown key 'nonsense'; (is it|there are)"):
        read_arguments(verb, VERBS[verb], {"nonsense": 1})


def test_a_target_refuses_in_one_line_and_serves_on(target: ManagedTarget, control_folder: Path) -> None:
    (path,) = (control_folder / "baremetal").glob("*.sock")
    before = ctl("list", "--json").output
    with ControlClient(path) as client:
        for verb, arguments, message in (
            ("resize", {"nsid": "1", "size": 4096}, "nsid is a whole number from 1 to 1024, not '1'"),
            ("resize", {"nsid": 1, "size": 4096, "sise": 1}, "unknown key 'sise'; is it size?"),
            ("resize", {"nsid": 9, "size": 4096}, f"{NQN} has no namespace 9"),
            ("resize", {"nsid": 1, "size": 1 << 61}, "disk.img: file too large"),
            ("remove-namespace", {"nsid": 9}, f"{NQN} has no namespace 9"),
            ("kick", {}, "kick takes a host or a controller"),
            ("dance", {}, "no command 'dance' here; there are: add-namespace, add-port"),
        ):
            with pytest.raises(ControlError) as caught:
                client.command(verb, arguments)
            assert message in str(caught.value)
    assert ctl("list", "--json").output == before


def test_help_of_every_verb_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for verb in VERBS:
        result = ctl(verb, "--help")
        assert result.status == 0
        assert max(map(len, result.output.splitlines())) <= 80
        assert "--json" in result.output


def test_a_target_that_does_not_answer_is_told_as_one(control_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_TIMEOUT_S", 0.05)
    (control_folder / "baremetal").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(control_folder / "baremetal" / "nvme-target-4711.sock"))
        stopped.listen()
        assert "target 4711: it does not answer" in ctl("--target", "4711", "list").line


def test_names_are_printed_as_they_are(target: ManagedTarget) -> None:
    done("add-subsystem", other := "nqn.2026-11.io.baremetal:one")
    assert f" of {other}: mem:1MiB" in done("add-namespace", "mem:1MiB", "--nqn", other)
