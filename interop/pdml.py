"""Read PDML, in which tshark tells, for each field, the text shown, the bytes behind it, and whether it is a bit field.

The parser's events become fields at once, without a tree in between: a capture has hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat  # for tshark's own output, so no foreign entities

SEVERITY_WARNING = 0x600000
"""Wireshark's expert severities: chat 0x200000, note 0x400000, warning 0x600000, error 0x800000."""


@dataclass(slots=True)
class Field:
    """One field as dissected.

    name: its filter name. show: the value as tshark prints it. value: the bytes in hexadecimal; of a bit field, the
    number cut out. size: in bytes, 0 when tshark made it up. parent: the field it is part of.
    """

    name: str
    show: str
    value: str
    size: int
    is_bits: bool
    has_parts: bool
    parent: Field | None


@dataclass(slots=True)
class Layer:
    """One protocol's part of a packet: its name, its fields in order, and its expert messages as (severity, text)."""

    name: str
    fields: list[Field] = field(default_factory=list)
    experts: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    """One packet as dissected. A protocol comes as often as the packet has messages of it."""

    number: int
    layers: list[Layer]

    @property
    def fields(self) -> list[Field]:
        """The fields of all its layers."""
        return [item for layer in self.layers for item in layer.fields]

    @property
    def experts(self) -> list[tuple[int, str]]:
        """Expert messages, as (severity, text); of TCP itself, which has some about every lost packet, none."""
        return [expert for layer in self.layers if layer.name != "tcp" for expert in layer.experts]

    @property
    def is_tcp(self) -> bool:
        """Whether TCP carried it."""
        return any(layer.name == "tcp" for layer in self.layers)

    @property
    def names(self) -> set[str]:
        """Names of all its fields."""
        return {item.name for item in self.fields}

    @property
    def is_malformed(self) -> bool:
        """Whether a dissector gave up."""
        return any(layer.name == "_ws.malformed" for layer in self.layers)


def read_pdml(output: IO[bytes]) -> Iterator[Frame]:
    """The packets, as they come."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    while data := output.read(CHUNK_BYTES):
        parser.Parse(data)
        frames, reader.frames = reader.frames, []
        yield from frames
    parser.Parse(b"", True)


class _Reader:
    """What takes the parser's events. frames: those that are complete."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._number = 0
        self._layers: list[Layer] = []
        self._open: list[Field] = []
        self._expert: dict[str, str] | None = None
        self._expert_depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = attributes.get("name", "")
        if tag == "packet":
            self._layers = []
        elif tag == "proto" and not self._open:
            self._layers.append(Layer(name))
            self._open.append(Field(name, "", "", 0, is_bits=False, has_parts=False, parent=None))
        elif self._open:
            self._begin(name, attributes)

    def end(self, tag: str) -> None:
        """An element ends."""
        if tag == "packet":
            layers = [layer for layer in self._layers if layer.name != "geninfo"]
            self.frames.append(Frame(self._number, layers))
        elif self._open:
            self._open.pop()
            if self._expert is not None and len(self._open) < self._expert_depth:
                severity = int(self._expert.get("_ws.expert.severity", "0"))
                self._layers[-1].experts.append((severity, self._expert.get("_ws.expert.message", "")))
                self._expert = None

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        above, show = self._open[-1], attributes.get("show", "")
        found = Field(
            name,
            show,
            attributes.get("value", ""),
            int(attributes.get("size", "0")),
            is_bits="unmaskedvalue" in attributes,
            has_parts=False,
            # A nameless heading is not in the way.
            parent=above if above.name else above.parent,
        )
        self._open.append(found)
        if self._expert is not None:
            self._expert[name] = show
        elif name in ("_ws.expert", "_ws.malformed"):
            self._expert, self._expert_depth = {name: show}, len(self._open)
        elif name == "num" and self._layers[-1].name == "geninfo":
            self._number = int(show)
        elif name:
            self._layers[-1].fields.append(found)
        if name:
            above.has_parts = True


CHUNK_BYTES = 1 << 16
