"""The pieces of NVMe cases: what a host is told, what a kernel complains of, and our commands in one process."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from interop.nvme_guest.fabric import RDMA, RDMA_IPV6, TCP_BOTH_DIGESTS, TCP_HEADER_DIGEST, Fabric
from interop.nvme_guest.kernel import COMPLAINTS
from interop.nvme_guest.nvmet import ADD_PORT, LINK, SET_UP


@pytest.mark.parametrize(
    ("fabric", "words"),
    [(RDMA, ""), (TCP_HEADER_DIGEST, "--hdr-digest"), (TCP_BOTH_DIGESTS, "--hdr-digest --data-digest")],
)
def test_host_is_told_which_digests_to_ask_for(fabric: Fabric, words: str) -> None:
    assert fabric.host_words == words


def test_a_target_has_the_same_place_for_both_kinds_of_commands() -> None:
    address = RDMA_IPV6.our_address
    assert RDMA_IPV6.url(address, "nqn.x:y") == "nvme+rdma://[2001:db8::1]:4420/nqn.x:y"
    assert RDMA_IPV6.place(address, port=4421) == "-t rdma -a 2001:db8::1 -s 4421"


def test_every_name_in_the_scripts_for_the_kernels_target_is_filled_in() -> None:
    names = {"nqn": "nqn.x:y", "device": "/dev/loop0", "address": "192.0.2.2", "transport": "tcp", "family": "ipv4"}
    script = "".join(part.format(port=1, service=4420, **names) for part in (SET_UP, ADD_PORT, LINK))
    assert not re.search("[{}]", script)


@pytest.mark.parametrize(
    ("line", "is_complaint"),
    [
        ("nvme nvme0: identifiers changed for nsid 1", True),
        ("I/O error, dev nvme0n1, sector 8 op 0x1:(WRITE)", True),
        ("EXT4-fs error (device nvme0n1): ext4_find_entry", True),
        ("WARNING: CPU: 0 PID: 7 at drivers/nvme/host/core.c:1", True),
        ("EXT4-fs (nvme0n1): mounted filesystem with ordered data mode", False),
        ("nvme nvme0: starting error recovery", False),
    ],
)
def test_only_what_never_belongs_there_is_a_complaint_of_the_kernels(line: str, is_complaint: bool) -> None:
    assert bool(re.search(COMPLAINTS, line)) is is_complaint


@pytest.mark.slow
def test_our_commands_run_one_after_the_other_in_one_process_and_keep_their_status() -> None:
    words = [["nvme", "id-ctrl", "nowhere", "--json"], ["--version"]]
    process = subprocess.run(
        [sys.executable, "-m", "interop.nvme_guest.ours"],
        input="".join(f"{json.dumps(each)}\n" for each in words),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (status, output, errors), (second, version, _) = map(json.loads, process.stdout.splitlines())
    assert (status, output) == (2, "")
    assert "nowhere" in errors
    assert (second, version.split()[0]) == (0, "baremetal")
