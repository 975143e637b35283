"""The idle timeout (RFC 9000 10.1): the smaller of both ends' values, and at least three probe timeouts."""

from __future__ import annotations


class IdleTimer:
    """due_ns: when the connection is given up in silence, None for never.

    timeout_ns: what was agreed, 0 for none. It starts again with each packet that is received, and with the first that
    asks for an acknowledgement after that (10.1).
    """

    __slots__ = ("_is_armed_by_send", "_since_ns", "timeout_ns")

    def __init__(self, timeout_ns: int, now: int) -> None:
        self.timeout_ns = timeout_ns
        self._since_ns = now
        self._is_armed_by_send = False

    def agree(self, peer_ns: int) -> None:
        """The peer announced its own: 0 for none."""
        if peer_ns and (not self.timeout_ns or peer_ns < self.timeout_ns):
            self.timeout_ns = peer_ns

    def received(self, now: int) -> None:
        """A packet was received and opened."""
        self._since_ns = now
        self._is_armed_by_send = False

    def sent(self, now: int) -> None:
        """A packet that asks for an acknowledgement leaves."""
        if not self._is_armed_by_send:
            self._is_armed_by_send = True
            self._since_ns = now

    def due_ns(self, pto_ns: int) -> int | None:
        """When the connection is given up; pto_ns: the present probe timeout."""
        if not self.timeout_ns:
            return None
        return self._since_ns + max(self.timeout_ns, 3 * pto_ns)
