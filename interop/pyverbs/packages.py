"""rdma-core's tests as Debian packs them: fetched once, taken apart in a cache, never installed."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

from interop.guest.packages import cache_folder
from interop.outcome import MissingToolError, require

PACKAGE = "python3-pyverbs"
VERSION = "44.0"
DOCUMENTS = Path("usr/share/doc/rdma-core/tests")


def tests_folder() -> Path:
    """The folder that has `tests` in it, fetched if it is not there; MissingToolError when it cannot be had."""
    folder = cache_folder() / f"{PACKAGE}-{VERSION}"
    if not (folder / "tests").is_dir():
        _unpack(_fetched(cache_folder()), folder)
    return folder


def _fetched(folder: Path) -> Path:
    require("apt-get", package="apt, so a Debian 12")
    require("dpkg-deb", package="dpkg")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "download", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    found = sorted(folder.glob(f"{PACKAGE}_{VERSION}*.deb"))
    if not found:
        reason = done.stderr.strip() or done.stdout.strip()
        raise MissingToolError(f"{PACKAGE} {VERSION} (Debian 12) is not to be had: {reason}")
    return found[-1]


def _unpack(package: Path, folder: Path) -> None:
    whole, partial = folder.with_suffix(".whole"), folder.with_suffix(".partial")
    for old in (whole, partial):
        shutil.rmtree(old, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(package), str(whole)], check=True, timeout=100)
    (partial / "tests").mkdir(parents=True)
    for source in sorted((whole / DOCUMENTS).iterdir()):
        if source.name.startswith(VENDORS):
            continue
        if source.suffix == ".gz":
            (partial / "tests" / source.stem).write_bytes(gzip.decompress(source.read_bytes()))
        else:
            shutil.copy(source, partial / "tests")
    shutil.rmtree(whole)
    # In one step, so that whoever looks meanwhile sees all of it or nothing.
    partial.rename(folder)


VENDORS = ("test_mlx5", "test_efa", "test_cuda", "cuda_utils")
"""Tests of one vendor's devices, left out by the names of their modules."""
