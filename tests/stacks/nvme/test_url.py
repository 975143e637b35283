"""URLs, right and wrong."""

from __future__ import annotations

import pytest

from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime import LocalError

NQN = "nqn.2026-11.io.baremetal:disk"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("nvme+rdma://127.0.0.2", NvmeUrl("rdma", "127.0.0.2")),
        ("nvme+rdma://127.0.0.2/", NvmeUrl("rdma", "127.0.0.2")),
        ("nvme+rdma://127.0.0.2:4421", NvmeUrl("rdma", "127.0.0.2", 4421)),
        (f"nvme+rdma://127.0.0.2/{NQN}", NvmeUrl("rdma", "127.0.0.2", 4420, NQN)),
        (f"nvme+tcp://[::1]:4420/{NQN}/7", NvmeUrl("tcp", "::1", 4420, NQN, 7)),
        ("nvme+rdma://localhost/2", NvmeUrl("rdma", "127.0.0.1", 4420, "", 2)),
    ],
)
def test_a_url_says_what_it_names(text: str, url: NvmeUrl) -> None:
    assert parse_url(text) == url
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("127.0.0.2", "is no NVMe URL"),
        ("http://127.0.0.2", "is no NVMe URL"),
        ("nvme+fc://127.0.0.2", "transport fc is not known"),
        ("nvme+rdma://127.0.0.2:99999", "port 99999"),
        ("nvme+rdma://127.0.0.2:0", "port 0"),
        ("nvme+rdma://nowhere.example", "no numeric address"),
        ("nvme+rdma://127.0.0.2/disk", "is no NQN"),
        (f"nvme+rdma://127.0.0.2/{NQN}/one", "namespace number"),
        (f"nvme+rdma://127.0.0.2/{NQN}/0", "numbered from 1"),
        (f"nvme+rdma://127.0.0.2/{NQN}/1/2", "namespace number"),
        ("nvme+rdma://127.0.0.2/nqn." + "x" * 300, "longer than 223"),
    ],
)
def test_a_wrong_url_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(LocalError, match=message) as caught:
        parse_url(text)
    assert "\n" not in str(caught.value)
