"""The devices that a process can open, and what moves them: bm0, bm1, ... at one IP address each.

    posting, polling -> stacks.rdma core, and a pass of every open device
    waiting          -> passes, and sleep on all sockets between them

A card works while its program sleeps; here somebody must make passes. Polling a completion queue, waiting for an event
and posting do, and move every device that the process has open. A program that does none of these for a while, such as
the target of RDMA READs, says `start_progress`: a thread then makes the passes, under the same lock.

A UDP port belongs to one process, so contexts of one process on one device share it, and a second process takes
another device.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from stacks.rdma.sync import Endpoint, device_on, open_beside, open_device
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with
from stacks.rdma.verbs.progress import LONGEST_SLEEP_NS, Progress


class Host:
    """The devices of one process.

    addresses: of the devices bm0, bm1, ..., in numeric text form; addresses of this machine, all of 127.0.0.0/8 are.
    makes_progress: whether `start_progress` is called whenever a device is opened.
    """

    def __init__(self, addresses: tuple[str, ...], *, makes_progress: bool = False) -> None:
        self._makes_progress = makes_progress
        self._addresses = {f"bm{index}": str(ip_address(address)) for index, address in enumerate(addresses)}
        self._open: dict[str, OpenDevice] = {}
        self._late: deque[Callable[[], None]] = deque()
        self._progress: Progress | None = None
        self._is_inside = False
        self.lock = threading.RLock()
        """Held by whoever touches a device."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Device name to IP address."""
        return self._addresses

    @property
    def is_open(self) -> bool:
        """Whether any device is open."""
        return bool(self._open)

    def open(self, name: str) -> OpenDevice:
        """The device of this name or IP address, opened if it is not; each `open` is ended by `OpenDevice.release`.

        Raises PyverbsUserError for a name that is not there, PyverbsRDMAError when the address cannot be had.
        """
        address = self._addresses.get(name, name)
        try:
            ip_address(address)
        except ValueError:
            raise PyverbsUserError(f"Device {name} not found: there are {', '.join(self._addresses)}") from None
        return self._opened(address, lambda beside: open_device(address, beside=beside))

    def open_towards(self, destination: str) -> OpenDevice:
        """A device from which to reach `destination`, a device of this machine or another; see `open`.

        If that one is open here, it itself; on loopback an address that is free.
        Raises PyverbsRDMAError when there is no way, or the address that leads there is taken.
        """
        if destination in self._open:
            return self.open(destination)
        with failing_with(f"Failed to open a device towards {destination}"):
            udp = open_beside(destination)

        def endpoint(beside: Endpoint | None) -> Endpoint:
            return Endpoint(device_on(udp, remote=destination), udp, beside=beside)

        return self._opened(udp.address[0], endpoint)

    def release(self, opened: OpenDevice) -> None:
        """See `OpenDevice.release`."""
        with self.lock:
            opened.users -= 1
            if opened.users or self._open.pop(opened.address, None) is None:
                return
            progress, self._progress = self._progress, None
            if progress is not None:
                progress.stop()
            opened.endpoint.close(linger_ns=0)
            if progress is not None:
                self.start_progress()

    def forget(self) -> None:
        """Leave every device to the process that opened it: this one is its child, and its sockets are copies."""
        for opened in self._open.values():
            # Or their ports stay taken when the parent has closed them.
            opened.endpoint.transport.close()
        self._open.clear()
        self._progress = None

    def pump(self) -> bool:
        """Make one pass of every open device; True when anything was done."""
        with self.lock:
            return self._pass(Endpoint.pump)

    def poll(self) -> bool:
        """Make the short pass of busy polling (`Endpoint.poll`); True when anything was done."""
        with self.lock:
            return self._pass(Endpoint.poll)

    def wait_until(self, condition: Callable[[], bool], *, timeout_ns: int | None = None) -> bool:
        """Make passes, and sleep between them, until `condition` holds, for `timeout_ns` at most; whether it holds."""
        endpoint = self._any_endpoint()
        if endpoint is None:
            return condition()
        if self._progress is None:
            with self.lock:
                return endpoint.wait_until(condition, timeout_ns=timeout_ns)
        return self._wait_beside_thread(endpoint, condition, timeout_ns)

    def start_progress(self) -> None:
        """Have a thread make passes while the program does something else, until its devices are closed. Idempotent."""
        with self.lock:
            endpoint = self._any_endpoint()
            if self._progress is None and endpoint is not None:
                self._progress = Progress(endpoint, self.lock, self.pump)

    def postpone(self, action: Callable[[], None]) -> None:
        """Do something as soon as no pass is under way: what the garbage collector frees may be freed in one."""
        self._late.append(action)
        if not self._is_inside:
            self._catch_up()

    # Inside

    def _opened(self, address: str, make: Callable[[Endpoint | None], Endpoint]) -> OpenDevice:
        with self.lock:
            opened = self._open.get(address)
            if opened is None:
                with failing_with(f"Failed to open device {address}"):
                    endpoint = make(self._any_endpoint())
                opened = self._open[address] = OpenDevice(self, self._name_of(address), endpoint)
            opened.users += 1
        if self._makes_progress:
            self.start_progress()
        return opened

    def _pass(self, make: Callable[[Endpoint], bool]) -> bool:
        endpoint = self._any_endpoint()
        if endpoint is None:
            return False
        self._is_inside = True
        try:
            did = make(endpoint)
        finally:
            self._is_inside = False
        if self._late:
            self._catch_up()
        return did

    def _catch_up(self) -> None:
        # Who holds the lock may wait for this very thread to end (`release`, `Progress.stop`), so it is not waited for
        # without end; the next pass does what is left.
        if not self.lock.acquire(timeout=LOCK_SECONDS):
            return
        try:
            self._do_late()
        finally:
            self.lock.release()

    def _do_late(self) -> None:
        moves = True
        while self._late and moves:
            moves = False
            for _ in range(len(self._late)):
                action = self._late.popleft()
                try:
                    action()
                except PyverbsRDMAError:
                    # The collector frees a queue before its queue pairs, too: it is closed once they are.
                    self._late.append(action)
                else:
                    moves = True

    def _any_endpoint(self) -> Endpoint | None:
        # Endpoints opened beside each other move together, so any will do.
        for opened in self._open.values():
            return opened.endpoint
        return None

    def _name_of(self, address: str) -> str:
        return next((name for name, known in self._addresses.items() if known == address), address)

    def _wait_beside_thread(self, endpoint: Endpoint, condition: Callable[[], bool], timeout_ns: int | None) -> bool:
        rest_ns = -1 if timeout_ns is None else timeout_ns
        while not condition():
            if self.pump():
                continue
            if rest_ns == 0:
                return False
            step_ns = LONGEST_SLEEP_NS if rest_ns < 0 else min(LONGEST_SLEEP_NS, rest_ns)
            endpoint.wait(step_ns)
            rest_ns = max(0, rest_ns - step_ns) if rest_ns > 0 else rest_ns
        return True


class OpenDevice:
    """A device that contexts of this process share. users: how many."""

    def __init__(self, host: Host, name: str, endpoint: Endpoint) -> None:
        self.host = host
        self.name = name
        self.endpoint = endpoint
        self.device = endpoint.device
        self.address = endpoint.address
        self.users = 0

    def release(self) -> None:
        """Undo one `Host.open`; the last closes the socket and ends what is left of its connections."""
        self.host.release(self)


def default_host() -> Host:
    """The host of programs that name none.

    Its addresses come from BAREMETAL_DEVICES, separated by commas; BAREMETAL_PROGRESS=thread has it make progress.
    """
    global _default  # noqa: PLW0603 (as with libibverbs, the devices belong to the process)
    if _default is None:
        _default = Host(
            tuple(os.environ.get("BAREMETAL_DEVICES", DEFAULT_ADDRESSES).split(",")),
            makes_progress=os.environ.get("BAREMETAL_PROGRESS") == "thread",
        )
    return _default


def _before_fork() -> None:
    if _default is not None:
        _default.lock.acquire()


def _after_fork_in_parent() -> None:
    if _default is not None:
        _default.lock.release()


def _after_fork_in_child() -> None:
    # A child would take its parent's packets: what it inherits is left alone, and it opens devices of its own.
    global _default  # noqa: PLW0603
    if _default is not None:
        _default.forget()
        _default.lock.release()
        _default = None


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

_default: Host | None = None
LOCK_SECONDS = 0.1
DEFAULT_ADDRESSES = "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4"
