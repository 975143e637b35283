"""What a program is told when a command or a connection fails."""

from __future__ import annotations

from stacks.runtime.errors import StackError
from wire.nvme.status import status_text


class CommandFailed(StackError):  # noqa: N818 (it is the name of an outcome: the connection is fine)
    """The controller answered with a status.

    code: SCT << 8 | SC, a `StatusCode`; dw0: what the completion carried besides.
    is_final: the controller said that the same again would fail again (DNR).
    """

    def __init__(self, what: str, code: int, *, dw0: int = 0, is_io: bool = False, is_final: bool = False) -> None:
        super().__init__(f"{what}: {status_text(code, is_io=is_io)}")
        self.code = code
        self.dw0 = dw0
        self.is_final = is_final


class ConnectionFailed(StackError):  # noqa: N818
    """There is no connection (any more); its text says why, in one line for a person.

    is_final: trying again would not help.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
