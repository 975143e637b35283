"""`baremetal demo`: the main job, end to end, between processes on this machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from apps.addresses import free_loopback_address
from apps.errors import CommandError
from apps.output import console
from apps.processes import Json, ServingProcess, run_measuring
from apps.signals import end_tidily, time_limit
from apps.sizes import Bytes, format_duration, format_size, parse_some


@dataclass(frozen=True, slots=True)
class Files:
    """What the demo leaves for a while in its folder: `capture` stays, the others go at the end."""

    directory: Path

    @property
    def original(self) -> Path:
        """Random bytes, what is written."""
        return self.directory / "original.bin"

    @property
    def copy(self) -> Path:
        """What came back."""
        return self.directory / "copy.bin"

    @property
    def image(self) -> Path:
        """The disk that is served."""
        return self.directory / "disk.img"

    @property
    def capture(self) -> Path:
        """The packets of the second, small run."""
        return self.directory / "demo.pcapng"

    def remove_bulk(self) -> None:
        """Remove everything but the capture."""
        for path in (self.original, self.copy, self.image):
            path.unlink(missing_ok=True)


def demo(
    directory: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where all files of the demo go; made if missing.")
    ] = Path("demo-out"),
    size: Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="How much is written.")] = Bytes(
        256 << 20
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, the rest elsewhere.")
    ] = False,
) -> None:
    """Serve a disk image over RoCEv2, write a file to it from another process, read it back and verify."""
    is_new = not directory.exists()
    if not is_new and not directory.is_dir():
        raise typer.BadParameter(f"{directory} is a file, not a directory; choose another --directory")
    out = console(stderr=as_json)
    files = Files(directory)
    start = time.monotonic_ns()
    end_tidily()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        check_space(directory, 3 * size + CAPTURE_LIMIT)
        with time_limit(TIME_LIMIT_S, too_slow):
            large = large_run(out, files, size)
            verified = large + captured_run(out, files, min(size, CAPTURED_BYTES))
    except BaseException:
        files.capture.unlink(missing_ok=True)
        raise
    finally:
        files.remove_bulk()
        if is_new:
            with contextlib.suppress(OSError):
                directory.rmdir()  # unless there is something in it
    duration_ns = time.monotonic_ns() - start
    if as_json:
        console().print_json(
            data={"verified_bytes": verified, "duration_ns": duration_ns, "capture": str(files.capture)}
        )
        return
    out.print(f"all of it took {format_duration(duration_ns)}; the disk image and the copies are removed")
    out.print(f"what came back equals what was written: {large} + {verified - large} bytes", highlight=False)
    out.print(f"verified {verified} bytes", highlight=False)


def check_space(directory: Path, needed: int) -> None:
    """CommandError when the file system of `directory` has less than `needed` bytes for us."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise CommandError(
            f"{directory} has {format_size(free)} of free space, the demo needs {format_size(needed)}",
            "free some, or choose another folder with --directory",
        )


def too_slow() -> CommandError:
    """What is said when the time is up."""
    return CommandError(f"the demo took more than {TIME_LIMIT_S:.0f} s and was ended", "try a smaller --size")


def large_run(out: Console, files: Files, size: int) -> int:
    """The whole file, without capture; prints throughput and latency, and returns how many bytes were verified."""
    with out.status(f"making {format_size(size)} of random data"):
        make_random(files.original, size)
        make_sparse(files.image, size)
    with target(files.image) as url:
        out.print(f"target process serves [bold]{escape(str(files.image))}[/] at [bold]{url}[/]", markup=True)
        with out.status("writing from an initiator process"):
            written = initiator("write", url, "--file", str(files.original))
        out.print(f"wrote {format_size(size)} at {rate(written)}")
        with out.status("reading back from another"):
            read = initiator("read", url, "--file", str(files.copy), "--length", str(size))
        out.print(f"read  {format_size(size)} at {rate(read)}")
        with out.status("measuring latency"):
            result = measure(url)
        out.print(f"latency of 4 KiB reads, one at a time: {result}")
    return verify(out, files)


def captured_run(out: Console, files: Files, size: int) -> int:
    """The set-up and a little data again, with every packet in a capture; returns how many bytes were verified."""
    files.remove_bulk()
    make_random(files.original, size)
    make_sparse(files.image, size)
    capturing = ["--capture", str(files.capture), "--capture-limit", str(CAPTURE_LIMIT)]
    with target(files.image, capturing) as url, out.status(f"writing and reading {format_size(size)} with capture"):
        initiator("write", url, "--file", str(files.original))
        initiator("read", url, "--file", str(files.copy), "--length", str(size))
    verified = verify(out, files)
    path, captured = str(files.capture), files.capture.stat().st_size
    out.print(
        f"\na second session, of {format_size(size)}, was captured whole in [bold]{escape(path)}[/]"
        f" ({format_size(captured)}); open it:",
        soft_wrap=True,
        markup=True,
    )
    out.print(f"  wireshark {shlex.quote(path)}\n  tshark -r {shlex.quote(path)} -Y nvme\n", soft_wrap=True)
    return verified


@contextlib.contextmanager
def target(image: Path, options: Sequence[str] = ()) -> Iterator[str]:
    """A target process that serves `image`; gives its URL. CommandError when it did not end in good order."""
    listen = f"nvme+rdma://{free_loopback_address()}"
    words = ["nvme", "target", "--namespace", str(image), "--listen", listen, "--until-stdin-ends", "--json", *options]
    with ServingProcess(words) as process:
        yield listen
        status = process.stop()
    if status:
        raise CommandError(f"the target process ended with status {status}")


def initiator(verb: str, url: str, *options: str) -> Json:
    """Run `baremetal nvme VERB URL` in a process of its own; returns what it reports."""
    return run_measuring(["nvme", verb, url, *options, "--json"])


def measure(url: str) -> str:
    """The latency of small reads, in words."""
    words = [
        "perf",
        "nvme",
        url,
        "--rw",
        "randread",
        "--block-size",
        "4k",
        "--queue-depth",
        "1",
        "--time",
        "1s",
        "--json",
    ]
    latency = run_measuring(words)["latency_ns"]
    assert isinstance(latency, dict)
    return f"median {format_duration(latency['p50'])}, 99 % within {format_duration(latency['p99'])}"


def verify(out: Console, files: Files) -> int:
    """Compare what came back with what was written; returns how many bytes agree. CommandError when some do not."""
    verified = 0
    with files.original.open("rb") as original, files.copy.open("rb") as copy, out.status("verifying"):
        while True:
            expected, found = original.read(CHUNK_BYTES), copy.read(CHUNK_BYTES)
            if expected != found:
                raise CommandError(f"what came back differs from what was written, after {verified} bytes")
            if not expected:
                return verified
            verified += len(expected)


def rate(report: Json) -> str:
    """The throughput of a transfer, in words."""
    return f"{report['mb_per_s']} MB/s"


def make_random(path: Path, size: int) -> None:
    """A file of random bytes."""
    with path.open("wb") as file:
        for start in range(0, size, CHUNK_BYTES):
            file.write(os.urandom(min(CHUNK_BYTES, size - start)))


def make_sparse(path: Path, size: int) -> None:
    """An empty disk image, a whole number of blocks."""
    with path.open("wb") as file:
        file.truncate(-(-size // 4096) * 4096)


CAPTURED_BYTES = 1 << 20
CAPTURE_LIMIT = 10_000_000
CHUNK_BYTES = 1 << 20
TIME_LIMIT_S = 45.0
"""For all of it; with what is put away afterwards it ends within a minute."""
