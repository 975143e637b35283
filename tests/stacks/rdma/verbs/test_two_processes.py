"""A user's program of ten lines, in two processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stacks.rdma.faces.addresses import fresh_address

SERVER = """
from stacks.rdma.verbs import CMID, AddrInfo, QPCap, QPInitAttr
import stacks.rdma.verbs.libibverbs_enums as e
import stacks.rdma.verbs.librdmacm_enums as ce

init = QPInitAttr(qp_type=e.IBV_QPT_RC, cap=QPCap(max_recv_wr=4))
with CMID(AddrInfo(src="{address}", src_service=7471, flags=ce.RAI_PASSIVE), init) as listener:
    listener.listen()
    print("listening", flush=True)
    request = listener.get_request()
    memory = request.reg_msgs(64)
    request.post_recv(memory)
    request.accept()
    wc = request.get_recv_comp()
    print(memory.read(wc.byte_len).decode())
"""

CLIENT = """
from stacks.rdma.verbs import CMID, AddrInfo, QPInitAttr
import stacks.rdma.verbs.libibverbs_enums as e

with CMID(AddrInfo(dst="{address}", dst_service=7471), QPInitAttr(qp_type=e.IBV_QPT_RC)) as peer:
    peer.connect()
    memory = peer.reg_msgs(13)
    memory.write("hello, world!", 13)
    peer.post_send(memory)
    print(peer.get_send_comp().status)
"""


@pytest.mark.slow
def test_hello_from_one_process_to_another() -> None:
    address = fresh_address()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER.format(address=address)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        client = subprocess.run(
            [sys.executable, "-c", CLIENT.format(address=address)],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        output, _ = server.communicate(timeout=50)
    assert (client.stdout, client.stderr) == ("0\n", "")
    assert output == "hello, world!\n"
