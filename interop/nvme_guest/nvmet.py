"""The guest's kernel as an NVMe target: set up through configfs, taken down when the block ends."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from interop.nvme_guest.fabric import PORT, Fabric
from interop.nvme_guest.kernel import Kernel

NQN = "nqn.2026-11.org.kernel:nvmet"
DEVICE = "/dev/loop0"
"""What namespace 1 is kept in: a loop device over a file in memory."""


class KernelTarget:
    """nvmet with one subsystem, served over `fabric`; a context manager.

    size_bytes: of its namespace, whose blocks have 512 bytes.
    """

    def __init__(self, kernel: Kernel, fabric: Fabric, *, size_bytes: int = 32 << 20) -> None:
        self._kernel = kernel
        self.url = fabric.url(fabric.guest_address, NQN)
        self._script = SET_UP.format(
            nqn=NQN, device=DEVICE, address=fabric.guest_address, port=PORT, transport=fabric.transport,
            family="ipv6" if fabric.is_ipv6 else "ipv4",
        )  # fmt: skip
        self._size_bytes = size_bytes

    def sha256(self, length: int) -> str:
        """Digest of the first bytes of the namespace, as the kernel keeps them; `length`: a multiple of 64 KiB."""
        # Past the page cache of the device, which nvmet does not use.
        command = f"dd if={DEVICE} bs=64k count={length >> 16} iflag=direct 2>/dev/null | sha256sum"
        return self._kernel.run(command).split()[0]

    def __enter__(self) -> Self:
        self._kernel.run(TAKE_DOWN)
        self._kernel.run(f"truncate -s {self._size_bytes} {BACKING}; losetup {DEVICE} {BACKING}\n{self._script}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._kernel.run(TAKE_DOWN)


BACKING = "/tmp/nvmet.img"
SET_UP = """
cd /sys/kernel/config/nvmet
subsystem=subsystems/{nqn}
mkdir $subsystem
echo 1 > $subsystem/attr_allow_any_host
mkdir $subsystem/namespaces/1
echo {device} > $subsystem/namespaces/1/device_path
echo 1 > $subsystem/namespaces/1/enable
mkdir ports/1
echo {family} > ports/1/addr_adrfam
echo {address} > ports/1/addr_traddr
echo {transport} > ports/1/addr_trtype
echo {port} > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/$subsystem ports/1/subsystems/{nqn}
"""
TAKE_DOWN = f"""
[ -d /sys/kernel/config/nvmet ] || mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/nvmet
rm -f ports/*/subsystems/*
for folder in ports/* subsystems/*/namespaces/* subsystems/*; do [ ! -d $folder ] || rmdir $folder; done
losetup -d {DEVICE} 2>/dev/null || true
rm -f {BACKING}
"""
