"""What several commands take on their command line, and the checks that make a wrong argument one: exit status 2.

Every parser takes text, or the value that a default already is.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from apps.sizes import parse_size
from stacks.congestion import controller_factory
from stacks.nvme.host import PathPolicy, ReconnectPolicy
from stacks.nvme.stores.capacity import BLOCK_SIZES
from stacks.nvme.target.nqn import check_nqn
from stacks.nvme.url import NvmeUrl
from stacks.nvme.url import parse_url as parse_nvme_url
from stacks.rdma.attributes import PATH_MTUS
from stacks.runtime import LocalError


def parse_url(text: str | NvmeUrl) -> NvmeUrl:
    """An NVMe URL."""
    try:
        return text if isinstance(text, NvmeUrl) else parse_nvme_url(text)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error


def parse_listen(text: str | NvmeUrl) -> NvmeUrl:
    """A URL to serve at: one address of this machine, over TCP also all of them (0.0.0.0, ::); no namespace."""
    try:
        url = parse_nvme_url(text, example="nvme+tcp://127.0.0.2:4420") if isinstance(text, str) else text
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error
    if url.transport != "tcp" or ip_address(url.host).is_multicast:
        check_one_address(url.host)
    if url.nsid:
        raise typer.BadParameter(
            f"{text} names namespace {url.nsid}, but all are served; leave it out (they are numbered as given)"
        )
    return url


def parse_nqn(text: str) -> str:
    """An NQN; empty where it is left out."""
    try:
        if text:
            check_nqn(text)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def parse_address(text: str) -> str:
    """An IP address of one device in numeric text form; empty where it is left out."""
    if not text:
        return text
    try:
        address = str(ip_address("127.0.0.1" if text == "localhost" else text.strip("[]")))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no IP address; write it like 127.0.0.2 or ::1") from error
    check_one_address(address)
    return address


def check_one_address(address: str) -> None:
    """typer.BadParameter for an address that stands for several, or for a group."""
    if ip_address(address).is_unspecified or ip_address(address).is_multicast:
        raise typer.BadParameter(
            f"{address} is not the address of one interface, and a device has exactly one; "
            "name one of this machine's, such as 127.0.0.2 (ip address lists them)"
        )


def parse_image_block(text: str | int) -> int:
    """The block size of a namespace."""
    size = parse_size(text)
    if size not in BLOCK_SIZES:
        raise typer.BadParameter(f"a block is {' or '.join(map(str, BLOCK_SIZES))} bytes, not {size}")
    return size


def parse_path_mtu(text: str | int) -> int:
    """A path MTU in bytes, 0 for the largest."""
    size = parse_size(text)
    if size and size not in PATH_MTUS:
        raise typer.BadParameter(f"a path MTU is {', '.join(map(str, PATH_MTUS))}, or 0 for the largest; not {size}")
    return size


def parse_controller(text: str) -> str:
    """The name of a congestion controller, or FILE.py:CLASS."""
    try:
        controller_factory(text)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def parse_capture(text: str | Path) -> Path:
    """Where to record packets: no file yet, an empty one, or an earlier capture, which is overwritten."""
    path = Path(text)
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a directory; name a file in it, such as {path / 'run.pcapng'}")
    if not path.is_file():
        return path
    try:
        with path.open("rb") as file:
            start = file.read(len(PCAPNG_MAGIC))
    except OSError as error:
        raise typer.BadParameter(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if start and start != PCAPNG_MAGIC:
        raise typer.BadParameter(f"{path} holds something that is no pcapng capture, and is left alone; name another")
    return path


def parse_digests(text: str | int) -> int:
    """Digests by name, as `TcpDigest`s."""
    if isinstance(text, int):
        return text
    if text not in DIGESTS:
        raise typer.BadParameter(f"digests are {', '.join(DIGESTS)}, not {text}")
    return DIGESTS[text]


def reconnect_policy(
    reconnect_delay: float, ctrl_loss_tmo: float | None, fast_io_fail_tmo: float, *, paths: int
) -> ReconnectPolicy:
    """What the options say; without `ctrl_loss_tmo`, one path is given up at once, and several after ten minutes."""
    limit = (0.0 if paths < 2 else ReconnectPolicy().ctrl_loss_tmo) if ctrl_loss_tmo is None else ctrl_loss_tmo
    try:
        return ReconnectPolicy(reconnect_delay=reconnect_delay, ctrl_loss_tmo=limit, fast_io_fail_tmo=fast_io_fail_tmo)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error


DIGESTS = {"none": 0, "header": 1, "data": 2, "both": 3}
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")
SIZES = "SIZE: 4096, 4k, 512MiB, 1GiB (powers of 1024), or 1GB (of 1000)."
TIMES = "TIME: 10s, 500ms, 2m."

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Local = Annotated[
    str,
    typer.Option(parser=parse_address, metavar="ADDRESS", help="IP address of our device; one that suits if left out."),
]
Offload = Annotated[bool, typer.Option(help="Send and receive many packets with one system call.")]
Digests = Annotated[
    int,
    typer.Option("--digests", parser=parse_digests, metavar="WHICH", help="Over TCP: none, header, data or both."),
]
ReconnectDelay = Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait before connecting again.")]
CtrlLossTmo = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How long a lost target is waited for, -1: for ever. Left out: 0, or 600 with --path or --persistent.",
    ),
]
FastIoFailTmo = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long commands wait for a lost target; -1: as long as it does.")
]
Paths = Annotated[
    list[NvmeUrl] | None,
    typer.Option("--path", parser=parse_url, metavar="URL", help="One more path to the same namespace. Repeatable."),
]
Policy = Annotated[PathPolicy, typer.Option(help="Which of several paths takes a command.")]
Capture = Annotated[
    Path | None,
    typer.Option(parser=parse_capture, metavar="FILE", help="Record every packet in this pcapng file."),
]
