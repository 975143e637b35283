"""The one exception of the control socket."""

from __future__ import annotations

from transports.errors import TransportError


class ControlError(TransportError):
    """A process cannot be reached or refused the request; the text says which."""
