"""Choose what one `struct` call fetches: whole fields where a code exists, words to be cut where none does."""

from dataclasses import dataclass

from wire.layout.fields import Field, Layout

CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True)
class Token:
    """One item of the struct format: `size` bytes from byte `start`, being `field`, or a word to be cut when None."""

    start: int
    size: int
    field: Field | None = None

    @property
    def code(self) -> str:
        """Its struct code."""
        return CODES[self.size] if self.field is None or self.field.kind == "integer" else f"{self.size}s"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a field within one word: `(word >> word_shift & mask) << field_shift`, the mask being `bits` wide."""

    token: Token
    word_shift: int
    field_shift: int
    bits: int


def tokens_of(layout: Layout) -> list[Token]:
    """The items of the header in order; what lies between them is padding."""
    whole = {field.first_bit // 8: field for field in layout.fields if _is_fetchable(field)}
    odd = {byte for field in layout.fields if not _is_fetchable(field) for byte in _bytes(field)}
    firm = {byte for field in whole.values() if field.kind != "integer" or field.bits > 8 for byte in _bytes(field)}
    tokens: list[Token] = []
    at = 0
    while at < layout.size:
        window = set(range(at, at + 4))
        if len(window & odd) >= 3 and not window & firm and at + 4 <= layout.size:
            # Three odd bytes are dearer to fetch than four, so a byte beside them comes along.
            tokens.append(Token(at, 4))
        elif at in odd:
            tokens.append(Token(at, 2 if at + 1 in odd else 1))
        elif at in whole:
            tokens.append(Token(at, whole[at].bits // 8, whole[at]))
        else:
            at += 1
            continue
        at += tokens[-1].size
    return tokens


def pieces_of(field: Field, words: list[Token], layout: Layout) -> list[Piece]:
    """Where `field` is found in `words`, in order."""
    pieces = []
    for token in words:
        first, last = max(field.first_bit, token.start * 8), min(_end(field), (token.start + token.size) * 8)
        shifts = first - token.start * 8, first - field.first_bit
        if layout.order == "big":
            shifts = (token.start + token.size) * 8 - last, _end(field) - last
        if first < last:
            pieces.append(Piece(token, *shifts, last - first))
    return pieces


def _is_fetchable(field: Field) -> bool:
    return field.kind != "integer" or (field.first_bit % 8 == field.bits % 8 == 0 and field.bits // 8 in CODES)


def _bytes(field: Field) -> range:
    return range(field.first_bit // 8, (_end(field) + 7) // 8)


def _end(field: Field) -> int:
    return field.first_bit + field.bits
