"""The two errors that a core knows, under one base.

`LocalError` reaches the caller: it asked for something that cannot be. `RemoteError` stays inside a core: a peer did
something wrong, and the error carries what to answer. Codecs raise `wire.errors.WireError`; a lost connection is no
error but a status with its cause.
"""

from __future__ import annotations

from errno import EINVAL


class StackError(Exception):
    """Base of both: its text is one line that a program can print as it is."""


class LocalError(StackError):
    """The caller misused an interface; nothing was changed.

    errno: what a C library would say: EINVAL unless the error knows better (ENOMEM, EBUSY, EOPNOTSUPP, ...).
    """

    def __init__(self, reason: str, *, errno: int = EINVAL) -> None:
        super().__init__(reason)
        self.errno = errno


class RemoteError(StackError):
    """A peer broke a rule; caught inside the core, which answers with `code`.

    code: what to answer with, in the protocol's own numbers (a NAK code, a reject reason, a status code).
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
