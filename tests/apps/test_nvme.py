"""`baremetal nvme`: serving, looking, moving files, and one line for everything that can be wrong."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line, wait_until

pytestmark = pytest.mark.slow

MIB = 1 << 20
NQN = "nqn.2026-11.io.baremetal:disk"


def serving(address: str, *namespaces: str, options: tuple[str, ...] = ()) -> ServingProcess:
    words = [word for namespace in namespaces for word in ("--namespace", namespace)]
    return ServingProcess(
        ["nvme", "target", *words, "--listen", f"nvme+rdma://{address}", "--until-stdin-ends", "--json", *options],
        timeout_s=LIMIT_S,
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(8 * MIB)
    return path


@pytest.fixture
def target(loopback_address: str, image: Path) -> Iterator[ServingProcess]:
    with serving(loopback_address, str(image), "mem:1MiB") as process:
        yield process
        assert process.stop(LIMIT_S) == 0


@pytest.fixture
def url(target: ServingProcess) -> str:
    return f"nvme+rdma://{target.ready['host']}"


def queues_of(target: ServingProcess) -> int:
    """How many queues the target has, the admin queues among them."""
    return int(json.loads(baremetal("rdma", "counters", str(target.pid), "--json").stdout)[0]["queues"])


def payload(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "payload.bin"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def test_a_target_says_what_it_serves(target: ServingProcess, image: Path) -> None:
    assert target.ready["nqn"] == "nqn.2026-11.io.baremetal:disk"
    assert target.ready["namespaces"] == [
        {"nsid": 1, "source": str(image), "block_bytes": 4096, "blocks": 2048},
        {"nsid": 2, "source": "mem:1MiB", "block_bytes": 4096, "blocks": 256},
    ]


def test_the_subsystem_and_its_namespaces_are_found(url: str) -> None:
    found = json.loads(baremetal("nvme", "discover", url, "--json").stdout)
    assert ("nqn.2026-11.io.baremetal:disk", "4420") in [(entry["nqn"], entry["port"]) for entry in found]
    listed = json.loads(baremetal("nvme", "list", url, "--json").stdout)
    assert [(row["nsid"], row["size_bytes"]) for row in listed] == [(1, 8 * MIB), (2, MIB)]
    assert "nqn.2026-11.io.baremetal:disk" in baremetal("nvme", "list", url).stdout


def test_identities_are_printed_by_their_field_names(url: str) -> None:
    controller = json_of("nvme", "id-ctrl", url)
    assert controller["subnqn"] == "nqn.2026-11.io.baremetal:disk"
    assert controller["mn"] == "BareMetal NVMe"
    assert json_of("nvme", "id-ns", url)["nsze"] == 2048
    assert "subnqn" in baremetal("nvme", "id-ctrl", url).stdout


@pytest.mark.parametrize("size", [1, 4096, 3 * MIB + 17])
def test_a_file_comes_back_as_it_was_written(url: str, tmp_path: Path, image: Path, size: int) -> None:
    original, copy = payload(tmp_path, size), tmp_path / "copy.bin"
    written = json_of("nvme", "write", url, "--file", str(original), "--offset", "1MiB")
    read = json_of("nvme", "read", url, "--file", str(copy), "--offset", "1MiB", "--length", str(size))
    assert written["sha256"] == read["sha256"]
    assert copy.read_bytes() == original.read_bytes() == image.read_bytes()[MIB : MIB + size]
    assert json_of("nvme", "compare", url, "--file", str(original), "--offset", "1MiB")["bytes"] == size


def test_the_rest_of_a_last_block_stays_as_it_was(url: str, tmp_path: Path, image: Path) -> None:
    full = payload(tmp_path, 8192)
    assert baremetal("nvme", "write", url, "--file", str(full)).returncode == 0
    before = full.read_bytes()
    short = payload(tmp_path, 5000)
    done = baremetal("nvme", "write", url, "--file", str(short))
    assert "wrote 5000 bytes (4.883 KiB)" in done.stdout
    assert image.read_bytes()[:8192] == short.read_bytes() + before[5000:]


def test_a_difference_is_found_where_it_is(url: str, tmp_path: Path) -> None:
    original = payload(tmp_path, MIB)
    assert baremetal("nvme", "write", url, "--file", str(original)).returncode == 0
    damaged = bytearray(original.read_bytes())
    damaged[MIB // 2 + 5001] ^= 1
    original.write_bytes(damaged)
    done = baremetal("nvme", "compare", url, "--file", str(original))
    assert done.returncode == 1
    assert "differs from the file, at byte 529289" in only_line(done)
    found = baremetal("nvme", "compare", url, "--file", str(original), "--json")
    assert json.loads(found.stdout) == {"verb": "compare", "bytes": MIB, "differs": True, "offset": MIB // 2 + 5001}
    assert baremetal("nvme", "compare", url, "--file", str(tmp_path / "nothing")).returncode == 2


def test_a_namespace_is_chosen_by_its_number(url: str, tmp_path: Path, image: Path) -> None:
    original = payload(tmp_path, 4096)
    second = f"{url}/nqn.2026-11.io.baremetal:disk/2"
    assert baremetal("nvme", "write", second, "--file", str(original)).returncode == 0
    assert image.read_bytes()[:4096] == bytes(4096)
    assert json_of("nvme", "read", second, "--file", str(tmp_path / "all.bin"))["bytes"] == MIB
    assert (tmp_path / "all.bin").read_bytes()[:4096] == original.read_bytes()


def test_overlays_of_one_image_are_served_beside_each_other(loopback_address: str, tmp_path: Path, image: Path) -> None:
    before = image.read_bytes()
    written, found, layer = payload(tmp_path, 3 * 4096), tmp_path / "found.bin", tmp_path / "one.layer"
    sources = (f"overlay:{image}+{layer}", f"overlay:{image}+mem:", f"faulty:ro:{image}+read:error=EIO")
    url = f"nvme+rdma://{loopback_address}"
    with serving(loopback_address, *sources) as target:
        json_of("nvme", "write", f"{url}/1", "--file", str(written))
        assert "write protected" in only_line(baremetal("nvme", "write", f"{url}/3", "--file", str(written)))
        assert target.stop(LIMIT_S) == 0
    with serving(loopback_address, *sources):
        for nsid, expected in ((1, written.read_bytes()), (2, bytes(3 * 4096))):
            json_of("nvme", "read", f"{url}/{nsid}", "--file", str(found), "--length", "12k")
            assert found.read_bytes() == expected
        failed = baremetal("nvme", "read", f"{url}/3", "--file", str(found), "--length", "12k")
        assert "unrecovered read error" in only_line(failed)
    assert image.read_bytes() == before


def test_what_is_wrong_with_an_overlay_is_one_line(image: Path) -> None:
    for text, words in (
        (f"overlay:{image}", "has no base or no layer"),
        (f"overlay:{image}+{image}", "is used already"),
        (f"overlay:{image}.not+mem:", "no such file"),
        ("dir:/srv", "several namespaces"),
    ):
        assert words in only_line(baremetal("nvme", "target", "--namespace", text))


@pytest.mark.parametrize("block", ["512", "4096"])
def test_both_block_sizes_and_single_packets_verify(loopback_address: str, block: str) -> None:
    with serving(loopback_address, "mem:1MiB", options=("--block-size", block, "--no-offload")):
        words = ["perf", "nvme", f"nvme+rdma://{loopback_address}", "--rw", "randrw", "--verify", "--no-offload"]
        words += ["--overwrite"]
        result = json_of(*words, "--block-size", block, "--time", "100ms")
    assert (result["errors"], result["mismatches"]) == (0, 0)


def test_perf_starts_a_target_of_its_own() -> None:
    result = json_of("perf", "nvme", "--rw", "randread", "--fill", "--namespace", "mem:4MiB", "--time", "100ms")
    assert isinstance(result["iops"], float)
    assert result["iops"] > 0
    assert isinstance(result["peer_cpu_ns"], int)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_the_target_which_ends_with_status_zero(
    loopback_address: str, image: Path, number: signal.Signals
) -> None:
    words = ["nvme", "target", "--namespace", str(image), "--listen", f"nvme+rdma://{loopback_address}"]
    with subprocess.Popen(command_line(words), stdout=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(3)]
        assert loopback_address in printed[0]
        assert "8 MiB in blocks of 4096 bytes" in printed[1]
        json_of("perf", "nvme", f"nvme+rdma://{loopback_address}", "--time", "50ms")
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 0


def test_a_target_that_ends_under_an_initiator_is_one_line_there(target: ServingProcess, url: str) -> None:
    words = command_line(["perf", "nvme", url, "--time", "30s"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True) as busy:
        wait_until(lambda: queues_of(target) >= 2, busy)
        assert target.stop(LIMIT_S) == 0
        _, error = busy.communicate(timeout=LIMIT_S)
    assert busy.returncode == 1
    assert error.startswith("baremetal: ")
    assert error.count("\n") == 1


def test_an_interrupted_initiator_says_so_and_leaves_the_target_serving(target: ServingProcess, url: str) -> None:
    with subprocess.Popen(
        command_line(["perf", "nvme", url, "--time", "30s"]), stderr=subprocess.PIPE, env=environment(), text=True
    ) as busy:
        wait_until(lambda: queues_of(target) >= 2, busy)
        busy.send_signal(signal.SIGINT)
        _, error = busy.communicate(timeout=LIMIT_S)
    assert busy.returncode == 130
    assert error == "baremetal: interrupted\n"
    assert json_of("nvme", "id-ns", url)["nsze"] == 2048


class TestErrors:
    """What is wrong, in one line, with what to do."""

    @pytest.mark.parametrize(
        "words",
        [
            ["nvme", "list", "disk.img"],
            ["nvme", "list", "nvme+rdma://127.0.0.2", "--local", "foo"],
            ["nvme", "target", "--namespace", "mem:none"],
            ["nvme", "target", "--namespace", "mem:5000"],
            ["nvme", "target", "--namespace", "mem:1MiB", "--nqn", "disk"],
            ["nvme", "target", "--namespace", "mem:1MiB", "--block-size", "1000"],
            ["nvme", "target", "--namespace", "mem:1MiB", "--listen", "nvme+rdma://0.0.0.0"],
            ["nvme", "target", "--namespace", "mem:1MiB", "--listen", "nvme+rdma://127.0.0.2/7"],
            ["nvme", "target", "--namespace", "mem:1MiB", "--listen", f"nvme+rdma://127.0.0.2/{NQN}x", "--nqn", NQN],
            ["nvme", "target", "--namespace", "a.img", "--namespace", "./a.img"],
            ["perf", "nvme", "--block-size", "0"],
            ["perf", "nvme", "--time", "0s"],
            ["perf", "nvme", "nvme+rdma://127.0.0.2", "--rw", "write"],
            ["perf", "rdma", "--block-size", "0"],
            ["perf", "rdma", "--span", "100"],
            ["perf", "rdma", "--mtu", "1000"],
            ["perf", "rdma", "somewhere"],
            ["bench", "--only", "nothing"],
            ["demo", "--size", "0"],
            ["demo", "--directory", "/dev/null"],
        ],
        ids=" ".join,
    )
    def test_a_wrong_argument_is_status_two(self, words: list[str]) -> None:
        done = baremetal(*words)
        only_line(done)
        assert done.returncode == 2

    def test_a_wrong_nqn(self, url: str) -> None:
        line = only_line(baremetal("nvme", "id-ctrl", f"{url}/nqn.2026-11.io.baremetal:other"))
        assert "nqn.2026-11.io.baremetal:other" in line

    def test_a_namespace_that_is_not_there(self, url: str) -> None:
        line = only_line(baremetal("nvme", "id-ns", f"{url}/nqn.2026-11.io.baremetal:disk/9"))
        assert "9" in line

    def test_an_address_where_nobody_is(self, loopback_address: str) -> None:
        line = only_line(baremetal("nvme", "list", f"nvme+rdma://{loopback_address}"))
        assert loopback_address in line

    def test_a_port_where_nobody_listens(self, url: str) -> None:
        line = only_line(baremetal("nvme", "list", f"{url}:4421"))
        assert "4421" in line

    @pytest.mark.parametrize("bad", ["disk.img", "http://127.0.0.2", "nvme+rdma://", "nvme+rdma://127.0.0.2:99999"])
    def test_a_url_that_is_none(self, bad: str) -> None:
        only_line(baremetal("nvme", "list", bad))

    def test_a_read_that_fails_leaves_the_file_as_it_was(self, url: str, tmp_path: Path) -> None:
        kept = tmp_path / "kept.bin"
        kept.write_bytes(b"precious")
        for place in (f"{url}:4421", f"{url}/{NQN}/9"):
            only_line(baremetal("nvme", "read", place, "--file", str(kept)))
        only_line(baremetal("nvme", "read", url, "--file", str(kept), "--offset", "1GiB", "--length", "4096"))
        assert kept.read_bytes() == b"precious"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.img", "kept.bin"]

    def test_a_read_does_not_replace_an_image_that_is_served(self, url: str, image: Path) -> None:
        assert "in use" in only_line(baremetal("nvme", "read", url, "--file", str(image)))

    def test_a_capture_does_not_replace_another_file(self, url: str, image: Path, loopback_address: str) -> None:
        before = image.stat().st_size
        for done in (
            baremetal("nvme", "read", url, "--file", "/dev/null", "--capture", str(image)),
            target_once(loopback_address, "mem:1MiB", "--capture", str(image)),
        ):
            assert "left alone" in only_line(done)
        assert image.stat().st_size == before

    def test_a_client_on_ipv6_loopback_is_told_about_a_second_address(self) -> None:
        assert "--local" in only_line(baremetal("nvme", "list", "nvme+rdma://[::1]"))

    def test_an_image_that_is_not_there(self, loopback_address: str, tmp_path: Path) -> None:
        done = target_once(loopback_address, str(tmp_path / "nothing.img"))
        assert "nothing.img: no such file; make one: truncate -s 1G" in only_line(done)

    def test_an_image_that_is_no_whole_number_of_blocks(self, loopback_address: str, tmp_path: Path) -> None:
        line = only_line(target_once(loopback_address, str(payload(tmp_path, 5000))))
        assert "5000" in line
        assert "truncate -s %4096" in line

    def test_an_image_in_use(self, target: ServingProcess, image: Path, loopback_addresses: Iterator[str]) -> None:
        assert target.ready
        assert "in use" in only_line(target_once(next(loopback_addresses), str(image)))

    def test_an_address_that_is_taken(self, target: ServingProcess) -> None:
        line = only_line(target_once(str(target.ready["host"]), "mem:1MiB"))
        assert "4791" in line
        assert "taken" in line

    def test_an_address_of_another_machine(self) -> None:
        assert "192.0.2.1" in only_line(target_once("192.0.2.1", "mem:1MiB"))

    def test_a_full_disk(self, url: str) -> None:
        assert "no space left" in only_line(baremetal("nvme", "read", url, "--file", "/dev/full", "--length", "4096"))

    def test_a_file_that_does_not_fit(self, url: str, tmp_path: Path) -> None:
        done = baremetal("nvme", "write", url, "--file", str(payload(tmp_path, MIB)), "--offset", "7.5MiB")
        assert "do not fit a namespace of 8388608 bytes" in only_line(done)

    def test_an_offset_inside_a_block(self, url: str, tmp_path: Path) -> None:
        done = baremetal("nvme", "write", url, "--file", str(payload(tmp_path, 4096)), "--offset", "100")
        assert "multiple of 4096" in only_line(done)

    def test_a_file_shorter_than_the_length_asked_for(self, url: str, tmp_path: Path) -> None:
        done = baremetal("nvme", "write", url, "--file", str(payload(tmp_path, 4096)), "--length", "8k")
        assert "has 4096 bytes" in only_line(done)

    def test_a_file_that_is_not_there(self, url: str, tmp_path: Path) -> None:
        done = baremetal("nvme", "write", url, "--file", str(tmp_path / "nothing.bin"))
        assert "nothing.bin: no such file" in only_line(done)

    def test_a_capture_that_cannot_be_written(self, loopback_address: str, tmp_path: Path) -> None:
        capture = str(tmp_path / "missing" / "x.pcapng")
        assert "x.pcapng" in only_line(target_once(loopback_address, "mem:1MiB", "--capture", capture))


def test_a_read_into_a_pipe_is_whole_and_reports_elsewhere(url: str, tmp_path: Path) -> None:
    original = payload(tmp_path, 3 * MIB + 17)
    assert baremetal("nvme", "write", url, "--file", str(original)).returncode == 0
    words = ["nvme", "read", url, "--file", "/dev/stdout", "--length", str(3 * MIB + 17)]
    done = subprocess.run(command_line(words), capture_output=True, check=True, env=environment(), timeout=LIMIT_S)
    assert done.stdout == original.read_bytes()
    assert b"sha256" in done.stderr


def test_the_nqn_of_the_url_is_served(loopback_address: str) -> None:
    words = ["nvme", "target", "--namespace", "mem:1MiB", "--until-stdin-ends", "--json"]
    listen = f"nvme+rdma://{loopback_address}/nqn.2026-11.example:mine"
    with ServingProcess([*words, "--listen", listen], timeout_s=LIMIT_S) as process:
        assert process.ready["nqn"] == "nqn.2026-11.example:mine"


def test_a_target_whose_reader_goes_away_serves_on(loopback_address: str) -> None:
    words = command_line(["nvme", "target", "--namespace", "mem:1MiB", "--listen", f"nvme+rdma://{loopback_address}"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        process.stdout.close()
        wait_until(lambda: not baremetal("nvme", "list", f"nvme+rdma://{loopback_address}").returncode, process)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-"])
def test_output_that_cannot_be_printed_is_no_fault_of_ours(redirection: str) -> None:
    words = ["perf", "nvme", "--time", "50ms"]
    line = " ".join([*command_line(words), redirection])
    done = subprocess.run(
        line, shell=True, capture_output=True, check=False, text=True, env=environment(), timeout=LIMIT_S
    )
    if redirection == ">&-":
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert (done.returncode, done.stderr) == (
            1,
            "baremetal: cannot print on standard output: no space left on device\n",
        )


def target_once(address: str, namespace: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A target that is expected not to come to serve."""
    listen = f"nvme+rdma://{address}"
    return baremetal("nvme", "target", "--namespace", namespace, "--listen", listen, *options)


def test_a_capture_holds_true_packets(loopback_address: str, tmp_path: Path) -> None:
    capture = tmp_path / "run.pcapng"
    with serving(loopback_address, "mem:1MiB", options=("--capture", str(capture), "--capture-limit", "200kB")):
        json_of("perf", "nvme", f"nvme+rdma://{loopback_address}", "--time", "100ms")
    assert 50_000 < capture.stat().st_size <= 200_000
