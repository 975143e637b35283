"""What every generated class inherits: comparison, presentation, burst access, and its errors. No Construct here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from wire.errors import WireError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Unpack(Protocol):
    """Reads the words of a whole burst at once."""

    def __call__(self, buffer: ReadableBuffer, offset: int = 0) -> tuple[int, ...]:
        """All words of all items, in order; struct.error when the buffer is too short."""


class Header:
    """Base of the generated classes.

    SIZE: bytes on the wire. WORDS: whole 32-bit words in it, 0 when it is not a multiple of four or too large to be
    read in bursts. ORDER: "big" or "little". FIELDS: (name, width) of each field in order; the width is bits of an
    integer, or minus the bytes of a byte string. PACK: where every field is whole in the format, writes values into a
    buffer at an offset, in the order of FIELDS: what `encode_into` does, for who has the values at hand and no object.
    It raises struct.error for what does not fit; byte strings must have their length.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # mutable values
    SIZE: ClassVar[int]
    WORDS: ClassVar[int]
    ORDER: ClassVar[Literal["big", "little"]]
    FIELDS: ClassVar[tuple[tuple[str, int], ...]]
    PACK: ClassVar[Callable[..., None]]

    @staticmethod
    def decode(buffer: ReadableBuffer, offset: int = 0) -> Header:
        """Read the header at `offset`; WireError when the buffer is too short. Nothing is judged."""
        raise NotImplementedError

    def encode_into(self, buffer: WriteableBuffer, offset: int = 0) -> None:
        """Write the header at `offset`, padding as zeros.

        Raises WireError when a field is out of range or the buffer too short; what the SIZE bytes hold then is
        undefined, the others are untouched.
        """
        raise NotImplementedError

    def encode(self) -> bytes:
        """The header as new bytes; WireError when a field is out of range. For cold paths."""
        buffer = bytearray(self.SIZE)
        self.encode_into(buffer)
        return bytes(buffer)

    def as_dict(self) -> dict[str, int | bytes]:
        """Every field by name, in wire order; for tools and tests."""
        return {name: getattr(self, name) for name, _ in self.FIELDS}

    @classmethod
    @lru_cache(maxsize=1024)
    def words(cls, count: int, stride: int) -> Unpack:
        """A reader of `count` headers that start `stride` bytes apart (at least SIZE): one call, all their words.

        It yields WORDS unsigned 32-bit words per header, in the header's byte order, and needs no bytes after the last
        header. A field of header `i` is `words[i * WORDS + FIELD_WORD] >> FIELD_SHIFT & FIELD_MASK`; a field that
        crosses a word has no such constants. Raises ValueError when the header has no words or the stride is too small.
        """
        if not cls.WORDS or stride < cls.SIZE or count < 1:
            raise ValueError(f"{cls.__name__} has {cls.WORDS} words; count {count}, stride {stride}")
        one = f"{cls.WORDS}I"
        gap = f"{stride - cls.SIZE}x"
        return Struct((">" if cls.ORDER == "big" else "<") + one + (gap + one) * (count - 1)).unpack_from

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name, _ in self.FIELDS)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"


def too_short(header: type[Header], buffer: ReadableBuffer, offset: int) -> WireError:
    """The error for a buffer that ends before the header does."""
    there = max(0, memoryview(buffer).nbytes - offset)
    return WireError(f"{header.SIZE} bytes needed, {there} there", format=header.__name__, offset=offset)


def not_constant(header: type[Header], offset: int) -> WireError:
    """The error for bytes that differ from what the format fixes."""
    return WireError("differs from the constant of the format", format=header.__name__, offset=offset)


def cannot_encode(header: Header, buffer: WriteableBuffer, offset: int) -> WireError:
    """The error for fields out of range, naming the first, or for a buffer too short."""
    for name, width in header.FIELDS:
        value: object = getattr(header, name)
        if not _fits(value, width):
            reason = f"{value!r} is out of range, {f'{width} bits' if width > 0 else f'{-width} bytes'} wanted"
            return WireError(reason, format=type(header).__name__, field=name, offset=offset)
    return too_short(type(header), buffer, offset)


def _fits(value: object, width: int) -> bool:
    if width < 0:
        return isinstance(value, bytes | bytearray) and len(value) == -width
    return isinstance(value, int) and not value >> width
