"""Construct's values and a derived codec's, one turned into the other; and codecs made on the spot."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

import wire
from wire.layout import Header
from wire.layout.emit import module_text
from wire.layout.fields import Layout, layout_of
from wire.layout.generate import definitions, layout_files, load

ROOT = Path(wire.__file__).parent
# The NVMe formats have the same tests in tests/wire/nvme.
LAYOUT_FILES = [path for path in layout_files(ROOT) if path.parent.name != "nvme"]


class Format:
    """One wire format: its definition, the layout found in it, and the codec class."""

    def __init__(self, definition: Any, codec: type[Header]) -> None:
        self.definition = definition
        self.codec = codec
        self.layout: Layout = layout_of(codec.__name__, definition)

    def make(self, **values: Any) -> Header:
        """An object of the codec class, whose fields only that class knows."""
        codec: Any = self.codec
        header: Header = codec(**values)
        return header

    def build(self, values: dict[str, Any]) -> bytes:
        """What Construct writes for the codec's values."""
        nested: dict[str, Any] = {}
        for field in self.layout.fields:
            if field.name:
                place = nested
                for name in field.path[:-1]:
                    place = place.setdefault(name, {})
                place[field.path[-1]] = values[field.name]
        raw: bytes = self.definition.build(nested)
        return raw

    def parse(self, raw: bytes) -> dict[str, Any]:
        """What Construct reads, under the codec's names."""
        parsed = self.definition.parse(raw)
        values = {}
        for field in self.layout.fields:
            if field.name:
                value = parsed
                for name in field.path:
                    value = value[name]
                values[field.name] = value
        return values


def checked_in_formats() -> list[Format]:
    """Every definition in wire/ with the codec that is checked in beside it."""
    formats = []
    for path in LAYOUT_FILES:
        stem = path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".")
        codecs = importlib.import_module(stem.removesuffix("_layout") + "_codec")
        formats += [Format(con, getattr(codecs, name)) for name, con in definitions(load(path)).items()]
    return formats


def derive(name: str, definition: Any) -> Format:
    """A format whose codec is generated and compiled now."""
    module = ModuleType("derived")
    exec(module_text("a test", "Derived in a test.", [layout_of(name, definition)]), module.__dict__)
    return Format(definition, getattr(module, name))


def values_of(codec: type[Header]) -> st.SearchStrategy[dict[str, Any]]:
    """Any values that fit the fields."""
    return st.fixed_dictionaries(
        {name: st.integers(0, (1 << width) - 1) if width > 0 else byte_strings(-width) for name, width in codec.FIELDS}
    )


def byte_strings(size: int) -> st.SearchStrategy[bytes]:
    """Any bytes of a size; long ones repeat a pattern, which is drawn faster."""
    if size <= 64:
        return st.binary(min_size=size, max_size=size)
    return st.binary(min_size=37, max_size=37).map(lambda piece: (piece * (size // 37 + 1))[:size])
