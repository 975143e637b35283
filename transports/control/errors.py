"""The exceptions of the control socket."""

from __future__ import annotations

from transports.errors import TransportError


class ControlError(TransportError):
    """A process cannot be reached or refused the request; the text says which."""


class NoAnswer(ControlError):  # noqa: N818 (as in what is said of it)
    """A process took a request, and did not answer in time."""
