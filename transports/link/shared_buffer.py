"""A buffer that all ports of a switch share, with dynamic thresholds: who uses much leaves less for everybody.

Every ingress, a priority of a port by which packets come in, has three parts of the buffer:

    reserve        its own, always
    shared         what is left over of the whole, up to a threshold: (pool - shared bytes in use) >> alpha_shift
    headroom       its own, for what is still on the way after it has asked its upstream to pause

The pool is the buffer without all reserves and headrooms. It wants a pause when it uses its headroom or has reached the
threshold, and a resume when its headroom is empty and it is `resume_offset_bytes` below the threshold. This is the
buffer of HPCC's simulations (Li et al., SIGCOMM 2019: switch-mmu in its repository), whose defaults these are; dynamic
thresholds are Choudhury and Hahne's (IEEE/ACM Transactions on Networking 6(2), 1998).

DEVIATION: there a port has one reserve and one headroom in the sum that the pool is short of, although each of its
priorities may use both; here each priority is counted, without which several could drop. With one they are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transports.errors import TransportError


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferConfig:
    """buffer_bytes: of the whole switch. reserve_bytes, resume_offset_bytes: see the module.

    TransportError for negative ones.
    """

    buffer_bytes: int = 12 << 20
    reserve_bytes: int = 4 << 10
    resume_offset_bytes: int = 3 << 10

    def __post_init__(self) -> None:
        for name in ("buffer_bytes", "reserve_bytes", "resume_offset_bytes"):
            if getattr(self, name) < 0:
                raise TransportError(f"a switch's {name} is not negative: {getattr(self, name)}")


class Account:
    """What one ingress uses. used_bytes: of its reserve and the shared part; headroom_used_bytes: of its headroom.

    is_pausing: its upstream was told to pause. ingress, priority: whose it is, for the switch.
    """

    __slots__ = (
        "alpha_shift", "headroom_bytes", "headroom_used_bytes", "ingress", "is_pausing", "priority", "used_bytes",
    )  # fmt: skip

    def __init__(self, headroom_bytes: int, alpha_shift: int, *, ingress: Any = None, priority: int = 0) -> None:
        self.headroom_bytes = headroom_bytes
        self.alpha_shift = alpha_shift
        self.ingress = ingress
        self.priority = priority
        self.used_bytes = 0
        self.headroom_used_bytes = 0
        self.is_pausing = False


class SharedBuffer:
    """The buffer of one switch. used_bytes: of all parts; peak_bytes: the most ever. pool_bytes: see above."""

    def __init__(self, config: BufferConfig) -> None:
        self.config = config
        self.used_bytes = 0
        self.peak_bytes = 0
        self.pool_bytes = config.buffer_bytes
        self._shared_bytes = 0
        self._reserve_bytes = config.reserve_bytes

    def add(self, account: Account) -> None:
        """Set its reserve and headroom aside. TransportError when the buffer is too small for that."""
        self.pool_bytes -= self._reserve_bytes + account.headroom_bytes
        if self.pool_bytes < 0:
            raise TransportError(
                f"a buffer of {self.config.buffer_bytes} bytes is {-self.pool_bytes} short of its ports' reserves and "
                f"headrooms; raise buffer_bytes"
            )

    def threshold_bytes(self, account: Account) -> int:
        """How much of the shared part it may use now."""
        return (self.pool_bytes - self._shared_bytes) >> account.alpha_shift

    def admit(self, account: Account, size_bytes: int) -> bool:
        """Make room for a packet; False when it has to be dropped."""
        used_bytes = account.used_bytes + size_bytes
        over_bytes = used_bytes - self._reserve_bytes
        if over_bytes > 0:
            if over_bytes > (self.pool_bytes - self._shared_bytes) >> account.alpha_shift:
                if account.headroom_used_bytes + size_bytes > account.headroom_bytes:
                    return False
                account.headroom_used_bytes += size_bytes
                self._grow(size_bytes)
                return True
            self._shared_bytes += min(size_bytes, over_bytes)
        account.used_bytes = used_bytes
        self._grow(size_bytes)
        return True

    def release(self, account: Account, size_bytes: int) -> None:
        """A packet has left: of the headroom first, of the shared part then."""
        self.used_bytes -= size_bytes
        from_headroom = min(account.headroom_used_bytes, size_bytes)
        account.headroom_used_bytes -= from_headroom
        size_bytes -= from_headroom
        over_bytes = account.used_bytes - self._reserve_bytes
        if over_bytes > 0:
            self._shared_bytes -= min(size_bytes, over_bytes)
        account.used_bytes -= size_bytes

    def wants_pause(self, account: Account) -> bool:
        """Whether its upstream has to be told to stop."""
        if account.is_pausing:
            return False
        if account.headroom_used_bytes:
            return True
        # Who holds nothing is not paused, even where the threshold is 0: nothing would leave and end it.
        over_bytes = account.used_bytes - self._reserve_bytes
        return over_bytes > 0 and over_bytes >= self.threshold_bytes(account)

    def wants_resume(self, account: Account) -> bool:
        """Whether its upstream may be told to go on."""
        if not account.is_pausing or account.headroom_used_bytes:
            return False
        over_bytes = account.used_bytes - self._reserve_bytes
        return over_bytes <= 0 or over_bytes + self.config.resume_offset_bytes <= self.threshold_bytes(account)

    def _grow(self, size_bytes: int) -> None:
        self.used_bytes = used_bytes = self.used_bytes + size_bytes
        if used_bytes > self.peak_bytes:
            self.peak_bytes = used_bytes
