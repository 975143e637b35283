"""Debian packages, downloaded and taken apart in a cache, with nothing installed.

apt resolves what the wanted packages depend on as if the machine had none, downloads all of it and checks the hashes;
dpkg-deb unpacks it into one tree. The machine's own package lists are used, so on Debian 12 the guest is a Debian 12.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from interop.outcome import MissingToolError, require

PACKAGES = (
    "linux-image-amd64",
    "busybox-static",
    "dash",
    "iproute2",
    "rdma-core",
    "ibverbs-providers",
    "ibverbs-utils",
    "rdmacm-utils",
    "perftest",
    "nvme-cli",
    "e2fsprogs",
    "fio",
    "mount",
    "util-linux",
)
"""What the guest is made of; what these need comes along."""


def cache_folder() -> Path:
    """Where downloads and guests are kept: $BAREMETAL_CACHE, or ~/.cache/baremetal-interop. May be removed any time."""
    return Path(os.environ.get("BAREMETAL_CACHE") or Path.home() / ".cache" / "baremetal-interop")


def unpacked(packages: Sequence[str] = PACKAGES, *, cache: Path | None = None) -> Path:
    """The tree of files of `packages` and all that they depend on; made by the first call, then taken from the cache.

    MissingToolError: without apt and dpkg-deb, or when a package cannot be had.
    """
    cache = cache or cache_folder()
    tree = cache / f"tree-{tree_key(packages)}"
    if not tree.exists():
        require("apt-get", package="apt")
        require("dpkg-deb", package="dpkg")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            archives = _download(packages, Path(scratch))
            _unpack(archives, Path(scratch) / "tree")
            _publish(Path(scratch) / "tree", tree)
    return tree


def tree_key(packages: Sequence[str]) -> str:
    """What names a tree: the set of packages asked for."""
    return hashlib.sha256("\n".join(sorted(set(packages))).encode()).hexdigest()[:12]


def _download(packages: Sequence[str], scratch: Path) -> list[Path]:
    archives = scratch / "archives"
    (archives / "partial").mkdir(parents=True)
    nothing_installed = scratch / "status"
    nothing_installed.touch()
    options = [
        f"Dir::State::status={nothing_installed}",
        f"Dir::Cache::archives={archives}",
        "Debug::NoLocking=1",  # the locks guard the machine's own state, which is not touched
        "APT::Sandbox::User=root",
    ]
    words = [word for option in options for word in ("-o", option)]
    _run("apt-get", "install", "-qq", "--yes", "--download-only", "--no-install-recommends", *words, *packages)
    return sorted(archives.glob("*.deb"))


def _unpack(archives: Sequence[Path], tree: Path) -> None:
    for path in archives:
        _run("dpkg-deb", "--extract", str(path), str(tree))


def _publish(made: Path, tree: Path) -> None:
    """Several runs at once make the same tree; the first one stays."""
    try:
        made.rename(tree)
    except OSError:
        shutil.rmtree(made)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise MissingToolError(
            f"{' '.join(command[:2])}: {'; '.join(last)} (are the package lists there? apt-get update)"
        )
