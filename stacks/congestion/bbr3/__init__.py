"""BBRv3."""

from stacks.congestion.bbr3.controller import Bbr3

__all__ = ["Bbr3"]
