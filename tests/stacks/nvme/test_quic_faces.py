"""NVMe over QUIC over real UDP: the asynchronous face, the plain one, and a target of several transports."""

from __future__ import annotations

import threading

import pytest
import trio

from stacks.nvme import sync
from stacks.nvme.aio import NvmeUrl, connect, discover, serve
from stacks.nvme.stores import MemoryStore
from stacks.nvme.url import parse_url
from stacks.runtime import LocalError

BLOCK = bytes(range(256)) * 16


def test_blocks_go_and_come_over_quic_and_the_only_subsystem_is_found(loopback_address: str) -> None:
    async def main() -> None:
        url = f"nvme+quic://{loopback_address}"
        async with serve(url, MemoryStore(1 << 22)) as server, connect(url) as namespace:
            await namespace.write(0, BLOCK * 64)
            assert await namespace.read(0, 64) == BLOCK * 64
            assert server.ports[0].core.queue_count == 2

    trio.run(main)


def test_discovery_over_quic_tells_of_quic_and_of_the_others(loopback_address: str) -> None:
    async def main() -> None:
        url = f"nvme+quic://{loopback_address}"
        other = url.replace("quic", "tcp")
        async with serve([url, other], MemoryStore(1 << 20)):
            over_quic = await discover(url)
            over_tcp = await discover(other)
        assert sorted(entry.transport for entry in over_quic if entry.kind == "nvm") == ["quic", "tcp"]
        assert [entry.transport for entry in over_tcp if entry.kind == "nvm"] == ["tcp"]

    trio.run(main)


def test_the_plain_face_reads_and_writes(loopback_address: str) -> None:
    url = f"nvme+quic://{loopback_address}"
    started, stop = threading.Event(), trio.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def target() -> None:
        async with serve(url, MemoryStore(1 << 20)):
            token.append(trio.lowlevel.current_trio_token())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(target,))
    thread.start()
    try:
        assert started.wait(10)
        with sync.connect(url) as namespace:
            namespace.write(3, BLOCK)
            assert namespace.read(3, 1) == BLOCK
    finally:
        token[0].run_sync_soon(stop.set)
        thread.join(10)


def test_urls_name_the_transport() -> None:
    assert parse_url("nvme+quic://[::1]:4421/1") == NvmeUrl("quic", "::1", 4421, "", 1)
    with pytest.raises(LocalError, match="transport sctp is not known, use rdma, tcp or quic"):
        parse_url("nvme+sctp://127.0.0.1")
