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
    """nvmet with one subsystem, served over each of `fabrics` at a port, from 1 on; a context manager.

    urls: of the subsystem at each port. size_bytes: of its namespace, whose blocks have 512 bytes.
    """

    def __init__(self, kernel: Kernel, *fabrics: Fabric, size_bytes: int = 32 << 20) -> None:
        self._kernel = kernel
        self._size_bytes = size_bytes
        self.urls = [fabric.url(fabric.guest_address, NQN) for fabric in fabrics]
        self._script = SET_UP.format(nqn=NQN, device=DEVICE)
        for port, fabric in enumerate(fabrics, start=1):
            family = "ipv6" if fabric.is_ipv6 else "ipv4"
            self._script += ADD_PORT.format(
                port=port, address=fabric.guest_address, service=PORT, transport=fabric.transport, family=family
            )
            self._script += LINK.format(nqn=NQN, port=port)

    @property
    def url(self) -> str:
        """Of the subsystem, at the first port."""
        return self.urls[0]

    def set_ana(self, port: int, state: str) -> None:
        """Change the state of the namespace's group at a port, to a name that the kernel has for it."""
        self._kernel.run(f"echo {state} > /sys/kernel/config/nvmet/ports/{port}/ana_groups/1/ana_state")

    def unlink(self, port: int) -> None:
        """Serve the subsystem at a port no more, which ends its hosts' associations there."""
        self._kernel.run(f"rm /sys/kernel/config/nvmet/ports/{port}/subsystems/{NQN}")

    def link(self, port: int) -> None:
        """Serve it there again."""
        self._kernel.run("cd /sys/kernel/config/nvmet" + LINK.format(nqn=NQN, port=port))

    def associations(self) -> int:
        """How many controllers hosts have made here so far."""
        return int(self._kernel.run(f"dmesg | grep -c 'creating nvm controller .* for subsystem {NQN}' || true"))

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
"""
ADD_PORT = """
mkdir ports/{port}
echo {family} > ports/{port}/addr_adrfam
echo {address} > ports/{port}/addr_traddr
echo {transport} > ports/{port}/addr_trtype
echo {service} > ports/{port}/addr_trsvcid
"""
LINK = """
ln -s /sys/kernel/config/nvmet/subsystems/{nqn} ports/{port}/subsystems/{nqn}
"""
TAKE_DOWN = f"""
[ -d /sys/kernel/config/nvmet ] || mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/nvmet
rm -f ports/*/subsystems/*
for folder in ports/* subsystems/*/namespaces/* subsystems/*; do [ ! -d $folder ] || rmdir $folder; done
losetup -d {DEVICE} 2>/dev/null || true
rm -f {BACKING}
"""
