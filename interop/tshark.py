"""Run tshark over a capture and hand out what it prints, field by field.

PDML is used since it alone gives, for each field, the text shown, the bytes behind it, and whether it is a bit field.
Nothing is configured: a home folder of its own keeps the user's preferences out.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET  # tshark's own output, no foreign entities

from interop.outcome import DisagreementError, require

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


def dissect(capture: Path, display_filter: str = "", options: Sequence[str] = ()) -> Iterator[Frame]:
    """The packets of `capture` as tshark reads them. options: words for its command line.

    MissingToolError without tshark, DisagreementError when it refuses the file.
    """
    require("tshark", package="tshark")
    command = ["tshark", "-n", "-r", str(capture), "-T", "pdml", *options]
    if display_filter:
        command += ["-Y", display_filter]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as errors:
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process:
            assert process.stdout is not None
            yield from _frames(process.stdout)
        if process.returncode:
            errors.seek(0)
            raise DisagreementError(
                f"tshark -r {capture}: {errors.read().decode(errors='replace').strip().splitlines()[-1]}"
            )


def _frames(output: IO[bytes]) -> Iterator[Frame]:
    for _, element in ET.iterparse(output):
        if element.tag == "packet":
            yield _frame(element)
            element.clear()


def _frame(packet: ET.Element) -> Frame:
    number, layers = 0, []
    for protocol in packet:
        if protocol.get("name") == "geninfo":
            number = int(next(part.get("show", "0") for part in protocol if part.get("name") == "num"))
        else:
            layers.append(Layer(protocol.get("name", "")))
            _collect(protocol, None, layers[-1])
    return Frame(number, layers)


def _collect(element: ET.Element, parent: Field | None, layer: Layer) -> None:
    for child in element:
        name, show = child.get("name", ""), child.get("show", "")
        if name in ("_ws.expert", "_ws.malformed"):
            layer.experts.append(_expert(child))
            continue
        found = Field(
            name,
            show,
            child.get("value", ""),
            int(child.get("size", "0")),
            is_bits="unmaskedvalue" in child.attrib,
            has_parts=any(part.get("name") for part in child),
            parent=parent,
        )
        if name:
            layer.fields.append(found)
        _collect(child, found if name else parent, layer)


def _expert(element: ET.Element) -> tuple[int, str]:
    parts = {part.get("name", ""): part.get("show", "") for part in element.iter("field")}
    return int(parts.get("_ws.expert.severity", "0")), parts.get("_ws.expert.message", "")
