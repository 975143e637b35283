"""What rdma_set_option sets, by its rdma_cma.h numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from errno import ENOSYS

from stacks.runtime import LocalError


class OptionLevel(enum.IntEnum):
    """What an option belongs to."""

    ID = 0
    IB = 1


class IdOption(enum.IntEnum):
    """Options of level ID."""

    TOS = 0
    """Traffic class of the connection's packets, 0 to 255; the active side decides it for both."""
    REUSEADDR = 1
    """Whether another identifier that says so too may bind to the same port."""
    AFONLY = 2
    """Whether a bind to the IPv6 wildcard is for IPv6 alone."""
    ACK_TIMEOUT = 3
    """Local ACK timeout of the queue pair, a 5-bit field: 4.096 us * 2^n."""


@dataclass(slots=True)
class IdOptions:
    """The options of one identifier; None where nothing was set."""

    tos: int = 0
    reuses_address: bool = False
    is_family_only: bool = False
    ack_timeout: int | None = None

    def set(self, option: int, value: int) -> None:
        """Set an option of level ID; LocalError when there is no such, or its value is out of range."""
        if option == IdOption.TOS:
            self.tos = _checked(IdOption.TOS, value, 255)
        elif option == IdOption.REUSEADDR:
            self.reuses_address = bool(value)
        elif option == IdOption.AFONLY:
            self.is_family_only = bool(value)
        elif option == IdOption.ACK_TIMEOUT:
            self.ack_timeout = _checked(IdOption.ACK_TIMEOUT, value, 31)
        else:
            raise LocalError(f"level ID has no option {option}", errno=ENOSYS)


def _checked(option: IdOption, value: int, highest: int) -> int:
    if not 0 <= value <= highest:
        raise LocalError(f"{option.name} is 0 to {highest}, not {value}")
    return value
