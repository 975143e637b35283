"""Choose what one `struct` call fetches: whole fields where a code exists, words to be cut where none does."""

from __future__ import annotations

from dataclasses import dataclass

from wire.layout.fields import Field, Layout

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True)
class Token:
    """One item of the struct format.

    start, size: place in bytes. code: the struct code; of padding, with count, "7x".
    field: the field that the item is, or None when it is a word to be cut, or padding.
    """

    start: int
    size: int
    code: str
    field: Field | None = None

    @property
    def is_padding(self) -> bool:
        """Nothing is fetched for it."""
        return self.code.endswith("x")

    @property
    def is_word(self) -> bool:
        """It carries bits of one or several fields."""
        return self.field is None and not self.is_padding


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a field within one word: `(word >> word_shift & mask) << field_shift`, the mask being `bits` wide."""

    token: Token
    word_shift: int
    field_shift: int
    bits: int


def tokens_of(layout: Layout) -> list[Token]:
    """The items that cover all bytes of the header, in order."""
    whole = [token for field in layout.fields if (token := _whole(field))]
    odd_bytes = {
        byte
        for field in layout.fields
        if not _whole(field)
        for byte in range(field.first_bit // 8, (field.first_bit + field.bits - 1) // 8 + 1)
    }
    single_bytes = {token.start for token in whole if token.code == "B"}
    taken = {byte for token in whole if token.code != "B" for byte in range(token.start, token.start + token.size)}
    words: list[Token] = []
    for first, last in _runs(odd_bytes):
        begin, end = _widened(first, last, taken, single_bytes, layout.size)
        words += _words(begin, end)
        taken.update(range(begin, end))
    cut = {byte for token in words for byte in range(token.start, token.start + token.size)}
    tokens = words + [token for token in whole if token.start not in cut]
    return _padded(sorted(tokens, key=lambda token: token.start), layout.size)


def pieces_of(field: Field, words: list[Token], layout: Layout) -> list[Piece]:
    """Where `field` is found in `words`, most significant part first."""
    pieces = []
    for token in words:
        first = max(field.first_bit, token.start * 8)
        last = min(field.first_bit + field.bits, (token.start + token.size) * 8)
        if first < last and layout.order == "big":
            shifts = (token.start + token.size) * 8 - last, field.first_bit + field.bits - last
            pieces.append(Piece(token, *shifts, last - first))
        elif first < last:
            pieces.insert(0, Piece(token, first - token.start * 8, first - field.first_bit, last - first))
    return pieces


def _whole(field: Field) -> Token | None:
    """The item that is exactly this field, if there is one."""
    size = field.bits // 8
    if field.kind != "integer":
        return Token(field.first_bit // 8, size, f"{size}s", field)
    if field.first_bit % 8 or field.bits % 8 or size not in _CODES:
        return None
    return Token(field.first_bit // 8, size, _CODES[size], field)


def _runs(odd_bytes: set[int]) -> list[tuple[int, int]]:
    """Stretches of neighbouring bytes, as (first, one past the last)."""
    starts = sorted(byte for byte in odd_bytes if byte - 1 not in odd_bytes)
    ends = sorted(byte + 1 for byte in odd_bytes if byte + 1 not in odd_bytes)
    return list(zip(starts, ends, strict=True))


def _widened(first: int, last: int, taken: set[int], single_bytes: set[int], size: int) -> tuple[int, int]:
    """Three bytes are dearer to fetch than four: take in the padding before, or the byte after or before."""
    if (last - first) % 4 != 3:
        return first, last
    if first > 0 and first - 1 not in taken | single_bytes:
        return first - 1, last
    if last < size and last not in taken:
        return first, last + 1
    if first > 0 and first - 1 not in taken:
        return first - 1, last
    return first, last


def _words(first: int, last: int) -> list[Token]:
    words = []
    while first < last:
        size = next(size for size in (4, 2, 1) if size <= last - first)
        words.append(Token(first, size, _CODES[size]))
        first += size
    return words


def _padded(tokens: list[Token], size: int) -> list[Token]:
    padded: list[Token] = []
    end = 0
    for token in [*tokens, Token(size, 0, "")]:
        if token.start > end:
            padded.append(Token(end, token.start - end, f"{token.start - end}x"))
        if token.size:
            padded.append(token)
        end = token.start + token.size
    return padded
