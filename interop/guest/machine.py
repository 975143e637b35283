"""A booted guest: qemu in the network namespace of its TAP device, the agent that runs commands, and captures.

    our processes -- UDP sockets -- tap0 | namespace | qemu -- virtio-net -- eth0 -- rdma_rxe -- guest's programs

qemu emulates the processor (TCG), since a device /dev/kvm that opens does not mean that a guest boots under it. It is
killed with the process that started it, however that ends.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interop.guest.agent import Agent, GuestError, Job, Result
from interop.guest.image import Image
from interop.guest.monitor import Monitor
from interop.guest.network import GUESTS, TAP, Namespace, owned_name, tap_namespace
from interop.guest.pcap import pcap_to_pcapng
from interop.outcome import require

__all__ = ["BootOptions", "GuestError", "Job", "Machine", "Result", "boot"]

ADDRESSES = tuple(address.partition("/")[0] for address in GUESTS)
"""The guest's addresses, in numeric text form: IPv4, IPv6."""


@dataclass(frozen=True, slots=True)
class BootOptions:
    """What distinguishes one kind of guest from another.

    mtu: of its Ethernet, in bytes. multipath: whether its NVMe host joins the paths to a namespace into one disk.
    """

    mtu: int = 9000
    multipath: bool = True


USUAL = BootOptions()


class Machine:
    """A running guest.

    agent: runs commands in it. namespace: where our processes can reach it. boot_seconds: what starting it took.
    options: what it was booted with.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], namespace: Namespace, folder: Path, options: BootOptions
    ) -> None:
        self._process = process
        self._folder = folder
        self.namespace = namespace
        self.options = options
        started = time.monotonic()
        self.agent = Agent(self._connect("agent"))
        self._monitor = Monitor(self._connect("monitor"))
        self.devices = self._wait_ready(started)
        self.boot_seconds = time.monotonic() - started

    @property
    def is_running(self) -> bool:
        """Whether qemu has not ended."""
        return self._process.poll() is None

    def run(self, script: str, *, seconds: float = 30) -> Result:
        """Run a shell script in the guest; after `seconds` it is killed. GuestError when the guest is gone."""
        return self.agent.run(script, seconds=seconds)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Within the block the guest stands still, and no time passes in it: a host that says nothing."""
        self._monitor.ask("stop")
        try:
            yield
        finally:
            self._monitor.ask("cont")

    @contextlib.contextmanager
    def capture(self, path: Path) -> Iterator[None]:
        """Write every frame between TAP and guest to `path`, a pcapng file; it is complete when the block is left."""
        raw = self._folder / "frames.pcap"
        self._monitor.ask("object-add", **{"qom-type": "filter-dump", "id": "dump", "netdev": "net", "file": str(raw)})
        try:
            yield
        finally:
            self._monitor.ask("object-del", id="dump")
            path.write_bytes(pcap_to_pcapng(raw.read_bytes(), name=TAP))
            raw.unlink()

    def _wait_ready(self, started: float) -> str:
        try:
            ready = self.agent.wait(Job(0, started + BOOT_SECONDS))
        except GuestError as error:
            raise GuestError(f"the guest does not boot: {error}\n{self._console()}") from error
        if ready.status or not ready.output.strip():
            raise GuestError(f"the guest has no rdma_rxe: {ready.output}\n{self._console()}")
        return ready.output.strip()

    def _connect(self, name: str) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            stream = socket.socket(socket.AF_UNIX)
            try:
                stream.connect(str(self._folder / name))
            except OSError:
                stream.close()
                time.sleep(0.02)
                continue
            return stream
        raise GuestError(f"qemu did not start: {(self._folder / 'qemu.log').read_text().strip()}")

    def _console(self) -> str:
        console = self._folder / "console.log"
        lines = console.read_text(errors="replace").splitlines() if console.exists() else []
        return "\n".join(lines[-CONSOLE_LINES:])


@contextlib.contextmanager
def boot(image: Image, options: BootOptions = USUAL, *, console: bool = False) -> Iterator[Machine]:
    """A guest for as long as the block lasts.

    console: the guest's console is this terminal, for a person; else it goes to a file that errors quote.
    MissingToolError without qemu, root or TAP devices; GuestError when it does not come up.
    """
    require("qemu-system-x86_64", package="qemu-system-x86")
    require("setpriv", package="util-linux")
    with tap_namespace(options.mtu) as namespace, tempfile.TemporaryDirectory(prefix=owned_name("")) as folder:
        words = namespace.command(*qemu_command(image, Path(folder), options, console=console))
        with (
            (Path(folder) / "qemu.log").open("wb") as log,
            subprocess.Popen(words, stdin=None if console else subprocess.DEVNULL, stderr=log) as process,
        ):
            try:
                yield Machine(process, namespace, Path(folder), options)
            finally:
                process.kill()


def qemu_command(image: Image, folder: Path, options: BootOptions, *, console: bool) -> list[str]:
    """The command that starts qemu with its sockets in `folder`; no device but those that the guest uses."""
    mtu = options.mtu
    words = [*(f"baremetal.address={address}" for address in GUESTS), f"baremetal.mtu={mtu}"]
    words.append(f"nvme_core.multipath={'NY'[options.multipath]}")
    # What a guest leaves to a device's offloads would be missing from a capture, and rxe computes no UDP checksum.
    no_offload = ",".join(f"{feature}=off" for feature in OFFLOADS)
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "768", "-nodefaults", "-no-user-config"),
        *("-nographic", "-no-reboot", "-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
        *("-append", f"console=ttyS0 quiet panic=-1 rdinit=/init {' '.join(words)}"),
        *("-serial", "stdio" if console else f"file:{folder / 'console.log'}"),
        *("-netdev", f"tap,id=net,ifname={TAP},script=no,downscript=no,vhost=off,vnet_hdr=off"),
        *("-device", f"virtio-net-pci,netdev=net,host_mtu={mtu},romfile=,{no_offload}"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=agent,path={folder / 'agent'},server=on,wait=off"),
        *("-device", "virtserialport,chardev=agent,nr=1,name=agent"),
        *("-qmp", f"unix:{folder / 'monitor'},server=on,wait=off"),
    ]


START_SECONDS = 10
BOOT_SECONDS = 90
"""Five on a quiet machine."""
CONSOLE_LINES = 15
OFFLOADS = ("csum", "guest_csum", "gso", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo", "host_tso4", "host_tso6")
