"""Checks of parameters that many elements share; each raises a TransportError of one line that names the parameter."""

from __future__ import annotations

from transports.errors import TransportError


def check_probability(name: str, value: float) -> None:
    """From 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise TransportError(f"{name} is a probability from 0 to 1, not {value}")


def check_at_least(name: str, value: int, low: int) -> None:
    """A whole number from `low` on."""
    if value < low:
        raise TransportError(f"{name} is at least {low}, not {value}")
