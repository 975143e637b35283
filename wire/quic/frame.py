"""What every class of a frame inherits: comparison and presentation, by its fields."""

from __future__ import annotations

from typing import ClassVar


class Frame:
    """Base of the frames. FIELDS: their names, and those of what `__init__` takes."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # mutable values
    FIELDS: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.FIELDS)
        return f"{type(self).__name__}({', '.join(f'{name}={_shown(value)}' for name, value in values)})"


def _shown(value: object) -> str:
    return value.hex() or "empty" if isinstance(value, bytes | memoryview) else repr(value)
