"""What a transport raises when it cannot be set up or is misused; a peer's bytes and a lossy path never raise."""

from __future__ import annotations


class TransportError(Exception):
    """A transport cannot do what the caller asked: one line that says what is wrong and what to do.

    errno: the operating system's error number behind it, 0 where there is none.
    """

    def __init__(self, message: str, *, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno
