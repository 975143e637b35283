"""From whatever a caller calls a buffer to a flat view of its bytes."""

from __future__ import annotations

from stacks.runtime.errors import LocalError


def flat_view(buffer: object, *, writable: bool) -> memoryview:
    """The bytes of a contiguous buffer as a one-dimensional view of format B; nothing is copied.

    Raises LocalError when `buffer` has no buffer interface, is not contiguous in C order, or is read-only though
    `writable` is asked.
    """
    try:
        view = memoryview(buffer)  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError) as error:
        raise LocalError(f"{type(buffer).__name__} is not a buffer: {error}") from None
    if writable and view.readonly:
        raise LocalError(f"{type(buffer).__name__} is read-only, but write access is asked")
    if not view.c_contiguous:
        raise LocalError(f"{type(buffer).__name__} is not contiguous in memory")
    if view.nbytes == 0:
        # Shapes with a zero in them cannot be cast.
        return memoryview(bytearray())
    return view.cast("B")
