"""BBRv3."""

from stacks.congestion.bbr3.controller import Bbr3
from stacks.congestion.bbr3.machine import AckPhase, Event, State

__all__ = ["AckPhase", "Bbr3", "Event", "State"]
