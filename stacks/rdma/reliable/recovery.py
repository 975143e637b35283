"""The names of the two ways to repeat what was lost."""

from __future__ import annotations

from stacks.runtime import LocalError

GO_BACK_N, SELECTIVE = "go-back-n", "selective"


def is_selective_repeat(recovery: str) -> bool:
    """Whether `recovery` asks for selective repeat; LocalError when it is no way at all."""
    check_recovery(recovery)
    return recovery == SELECTIVE


def check_recovery(recovery: str) -> None:
    """Raise LocalError for a name that is neither."""
    if recovery not in (GO_BACK_N, SELECTIVE):
        raise LocalError(f"recovery is {GO_BACK_N!r} or {SELECTIVE!r}, not {recovery!r}")
