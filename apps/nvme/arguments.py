"""What several commands of this group take."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import parse_nqn, parse_url
from apps.nvme.session import SessionOptions
from stacks.nvme.url import NvmeUrl

Url = Annotated[
    NvmeUrl,
    typer.Argument(
        parser=parse_url,
        metavar="URL",
        help="nvme+rdma://, nvme+tcp:// or nvme+quic://HOST:PORT/NQN/NSID; all but HOST may be left out.",
    ),
]
HostNqn = Annotated[str, typer.Option(parser=parse_nqn, metavar="NQN", help="Who we are.")]
HOST_NQN = SessionOptions().host_nqn
