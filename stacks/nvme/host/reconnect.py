"""When a lost connection is made again, and when it is given up.

The names and their meaning are those of Linux (`nvme connect`, nvme-fabrics); times are in seconds, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """What a path does about a loss.

    reconnect_delay: how long to wait before each attempt to connect again.
    ctrl_loss_tmo: the path is given up when it is down for this long; -1 for never, 0 for at once.
    fast_io_fail_tmo: I/O that has no other path fails when the path is down for this long, while connecting goes on;
    -1 for not before the path is given up.
    retries_first: the first connection, too, is tried until `ctrl_loss_tmo`.
    jitter: how much longer a delay may be, as a part of it, drawn from the path's random numbers.
    waiting_max: commands that may wait for a path at a time; further ones fail.

    DEVIATION: Linux turns `ctrl_loss_tmo` into a number of attempts, which take as much longer as connecting does; here
    it is a time, so that it bounds how long a command waits.
    """

    reconnect_delay: float = 10
    ctrl_loss_tmo: float = 600
    fast_io_fail_tmo: float = -1
    retries_first: bool = False
    jitter: float = 0
    waiting_max: int = 65536

    def __post_init__(self) -> None:
        """LocalError for times that cannot be."""
        if self.reconnect_delay <= 0:
            raise LocalError("reconnect_delay must be more than 0 seconds")
        if self.ctrl_loss_tmo < 0 and self.ctrl_loss_tmo != -1:
            raise LocalError("ctrl_loss_tmo is a time, or -1 for never")
        if self.fast_io_fail_tmo < 0 and self.fast_io_fail_tmo != -1:
            raise LocalError("fast_io_fail_tmo is a time, or -1 for not at all")


NO_RECONNECT = ReconnectPolicy(ctrl_loss_tmo=0)
"""What is lost is lost."""
