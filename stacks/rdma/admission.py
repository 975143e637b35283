"""Whether a device makes another of something: it has not failed, no rule says otherwise, and there is room."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from stacks.rdma.exhaustion import POSTS, Exhausted, Exhaustion
from stacks.rdma.memory import Mw, Pd
from stacks.rdma.srq import Xrcd
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.device import Device


class _Room(NamedTuple):
    taken: int
    limit: int
    name: str


class Admission:
    """The door of one device.

    pds, xrcds: those that somebody holds: a program may simply drop an empty one. exhaustion: the rules; see there.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self.exhaustion = Exhaustion()
        self.pds: WeakSet[Pd] = WeakSet()
        self.xrcds: WeakSet[Xrcd] = WeakSet()

    def admit(self, call: str) -> None:
        """Something is to be made; `call` is one of `exhaustion.CALLS`.

        Raises LocalError when the device has failed (EIO), a rule says so, or there is no room (ENOMEM).
        """
        if self._device.is_failed:
            raise LocalError("the device has failed: make a new one", errno=errno.EIO)
        self.exhaustion.check(call)
        room = self._room(call)
        if room is not None and room.taken >= room.limit:
            raise LocalError(f"{call}: the device has no more than {room.limit} ({room.name})", errno=errno.ENOMEM)

    def exhaust(self, call: str, *, nth: int, errno: int) -> Exhausted:
        """See `Device.exhaust`."""
        rule = self.exhaustion.add(call, nth=nth, errno=errno)
        self.watch_posts()
        return rule

    def watch_posts(self) -> None:
        """Have all queues ask before each post while a rule waits for one, and only then."""
        device = self._device
        sends, receives = (
            partial(self._check_post, call) if self.exhaustion.is_watching(call) else None for call in POSTS
        )
        for qp in device.qps.values():
            qp.requester.watch(sends)
            qp.receive_queue.watch(receives)
        for srq in device.srqs.values():
            srq.watch(receives)

    def _check_post(self, call: str) -> None:
        try:
            self.exhaustion.check(call)
        except LocalError:
            self.watch_posts()
            raise

    def _room(self, call: str) -> _Room | None:
        device = self._device
        limits = device.config.limits
        match call:
            case "alloc_pd":
                return _Room(len(self.pds), limits.max_pd, "max_pd")
            case "create_cq":
                return _Room(len(device.cqs), limits.max_cq, "max_cq")
            case "create_qp":
                return _Room(len(device.qps), limits.max_qp, "max_qp")
            case "create_srq":
                return _Room(len(device.srqs), limits.max_srq, "max_srq")
            case "open_xrcd":
                return _Room(len(self.xrcds), limits.max_xrcd, "max_xrcd")
            case "reg_mr":
                return _Room(len(device.memory.regions), limits.max_mr, "max_mr")
            case "alloc_mw":
                windows = sum(isinstance(owner, Mw) for owner in device.memory.owners.values())
                return _Room(windows, limits.max_mw, "max_mw")
        return None
