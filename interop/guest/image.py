"""The guest's first and only file system: chosen programs and kernel modules, with all that those need.

A `Tree` is what `packages.unpacked` made. Programs bring their loader and libraries, modules the modules below them.
The image is an uncompressed cpio archive, since an emulated processor takes longer to unpack than to copy; it is kept
in the cache under a name made from its contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interop.guest import cpio
from interop.guest.elf import interpreter, module_fields, needed_libraries
from interop.guest.packages import PACKAGES, cache_folder, unpacked
from interop.outcome import MissingToolError

BUSYBOX = "bin/busybox"
PROGRAMS = (
    "bin/dash",
    "bin/ip",
    "bin/mount",
    "bin/umount",
    "sbin/blkdiscard",
    "sbin/e2fsck",
    "sbin/fstrim",
    "sbin/mke2fs",
    "sbin/tc",
    "usr/bin/fio",
    "usr/bin/rdma",
    "usr/bin/ibv_*",
    "usr/bin/ib_*",
    "usr/bin/cmtime",
    "usr/bin/mckey",
    "usr/bin/rdma_client",
    "usr/bin/rdma_server",
    "usr/bin/rping",
    "usr/bin/ucmatose",
    "usr/bin/udaddy",
    "usr/sbin/nvme",
)
"""Patterns in the tree."""
LIBRARIES = ("libgcc_s.so.1", "libnss_files.so.2", "librxe-rdmav34.so")
"""Loaded by name at run time: by pthread_cancel, by getaddrinfo, and by libibverbs as the driver of rxe."""
FILES = ("etc/libibverbs.d/rxe.driver",)
MODULES = (
    "virtio_pci",
    "virtio_net",
    "virtio_console",
    "crc32_generic",
    "crc32c_generic",
    "rdma_rxe",
    "rdma_ucm",
    "ib_uverbs",
    "ib_umad",
    "sch_netem",
    "tcp_bbr",
    "ext4",
    "nvme_rdma",
    "nvme_tcp",
    "nvmet_rdma",
    "nvmet_tcp",
    "loop",
)
"""Present for `modprobe`; rdma_rxe asks the kernel for crc32 by name, so nothing says that it needs crc32_generic."""
HOST_ID = "b05ca7ed-0000-4000-8000-000000000001"
HOST_NQN = f"nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}"
"""Who the guest is to NVMe targets, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine boots: two files, and the version of the kernel, as `uname -r` prints it."""

    kernel: Path
    initramfs: Path
    release: str


def build_image(*, cache: Path | None = None, packages: Sequence[str] = PACKAGES) -> Image:
    """The image of the guest, from the cache when its contents did not change.

    MissingToolError: when packages cannot be had, or lack a file that is wanted.
    """
    cache = cache or cache_folder()
    tree = Tree(unpacked(packages, cache=cache))
    content = cpio.archive([*_skeleton(), *tree.user_space(PROGRAMS, LIBRARIES, FILES), *tree.modules(MODULES)])
    path = cache / f"initramfs-{hashlib.sha256(content).hexdigest()[:12]}.cpio"
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(content)
        unfinished.rename(path)
    return Image(tree.kernel, path, tree.release)


class Tree:
    """A tree of unpacked packages, in which files are found as a running system would find them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.kernel = self._only("boot/vmlinuz-*")
        self.release = self.kernel.name.removeprefix("vmlinuz-")

    def user_space(
        self, programs: Iterable[str], libraries: Iterable[str], files: Iterable[str]
    ) -> Iterator[cpio.Entry]:
        """Programs by pattern, libraries by soname, files by path; and every library and loader that they need."""
        yield cpio.file(f"usr/{BUSYBOX}", self._read(BUSYBOX), is_executable=True)
        wanted = [path for pattern in programs for path in sorted(self._root.glob(pattern)) if _is_elf(path)]
        for path in self._closure([*wanted, *map(self._library, libraries)]):
            yield cpio.file(_merged(path.relative_to(self._root)), path.read_bytes(), is_executable=True)
        for loader in sorted({found for path in wanted if (found := interpreter(path.read_bytes()))}):
            content = self._library(Path(loader).name).read_bytes()
            yield cpio.file(_merged(Path(loader.lstrip("/"))), content, is_executable=True)
        for name in files:
            yield cpio.file(name, self._read(name))

    def modules(self, names: Iterable[str]) -> Iterator[cpio.Entry]:
        """Kernel modules with those below them, and the index that modprobe reads."""
        folder = self._root / "lib" / "modules" / self.release
        paths = {_module_name(path): path for path in folder.rglob("*.ko")}
        contents = dict[str, bytes]()
        below = dict[str, list[str]]()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in contents:
                continue
            if name not in paths:
                raise MissingToolError(f"the kernel {self.release} has no module {name}")
            contents[name] = paths[name].read_bytes()
            below[name] = depends(module_fields(contents[name]))
            pending += below[name]
        where = {name: str(paths[name].relative_to(folder)) for name in contents}
        for name in sorted(contents):
            yield cpio.file(f"usr/lib/modules/{self.release}/{where[name]}", contents[name])
        index = "".join(f"{line}\n" for line in module_index(below, where)).encode()
        yield cpio.file(f"usr/lib/modules/{self.release}/modules.dep", index)

    def _closure(self, files: Iterable[Path]) -> list[Path]:
        """The files, and every library that they need, whoever of them needs it."""
        found, pending = set[Path](), list(files)
        while pending:
            path = pending.pop()
            if path not in found:
                found.add(path)
                pending += map(self._library, needed_libraries(path.read_bytes()))
        return sorted(found)

    def _library(self, soname: str) -> Path:
        for folder in LIBRARY_FOLDERS:
            path = self._root / folder / soname
            if path.exists():
                return path
        raise MissingToolError(f"no package of the guest has the library {soname}")

    def _read(self, name: str) -> bytes:
        path = self._root / name
        if not path.exists():
            raise MissingToolError(f"no package of the guest has the file {name}")
        return path.read_bytes()

    def _only(self, pattern: str) -> Path:
        found = sorted(self._root.glob(pattern))
        if not found:
            raise MissingToolError(f"no package of the guest has {pattern}")
        return found[-1]


def depends(fields: Mapping[str, str]) -> list[str]:
    """Modules that a module asks for, from the fields of its .modinfo."""
    return [name.replace("-", "_") for name in fields.get("depends", "").split(",") if name]


def module_index(below: Mapping[str, Sequence[str]], where: Mapping[str, str]) -> list[str]:
    """The lines of modules.dep: each module's file, then the files below it, the nearest first.

    below: what each module asks for itself. where: its file, relative to the folder of modules.
    """
    return [
        " ".join([f"{where[name]}:", *(where[other] for other in _all_below(name, below))]) for name in sorted(below)
    ]


def _all_below(name: str, below: Mapping[str, Sequence[str]]) -> list[str]:
    # modprobe loads from the end of the line, so a module has to stand behind every one that needs it.
    order: list[str] = []
    for direct in below[name]:
        for other in [direct, *_all_below(direct, below)]:
            if other in order:
                order.remove(other)
            order.append(other)
    return order


def _skeleton() -> Iterator[cpio.Entry]:
    """Folders, links of a system with everything under usr, and the scripts in `root`."""
    for name in ("bin", "sbin", "lib", "lib64"):
        yield cpio.folder(f"usr/{name}")
        yield cpio.link(name, f"usr/{name}")
    yield cpio.link("usr/bin/sh", "dash")  # busybox's shell has its own idea of programs such as ip
    for name in ("proc", "sys", "dev", "tmp", "run", "root"):
        yield cpio.folder(name)
    yield cpio.character_device("dev/console", 5, 1)
    yield cpio.file("etc/nvme/hostnqn", f"{HOST_NQN}\n".encode())  # or each `nvme connect` is another host
    yield cpio.file("etc/nvme/hostid", f"{HOST_ID}\n".encode())
    for path in sorted((Path(__file__).parent / "root").iterdir()):
        yield cpio.file(path.name, path.read_bytes(), is_executable=True)


def _is_elf(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:4] == b"\x7fELF"


def _merged(path: Path) -> str:
    return str(path if path.parts[0] in ("usr", "etc") else Path("usr") / path)


def _module_name(path: Path) -> str:
    return path.name.removesuffix(".ko").replace("-", "_")


LIBRARY_FOLDERS = (
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/libibverbs",
    "usr/lib/x86_64-linux-gnu/ceph",
    "lib64",
)
