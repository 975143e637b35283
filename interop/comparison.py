"""Compare fields that tshark printed with the values that our codecs decoded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from interop.pdml import Field

Value = int | str | bytes
Expected = Mapping[str, Sequence[Value]]
"""By tshark's field name: our values, in order of appearance."""


@dataclass(slots=True)
class Report:
    """What came of the comparison: fields that agreed by name, and lines about the others."""

    agreed: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def compare(self, where: str, observed: Iterable[Field], expected: Expected) -> None:
        """Compare each field with ours, and note those that we have no value for.

        Exempt are fields that tshark made up (no bytes of their own), reserved ones, containers whose parts are
        compared, and bits of a whole number that is compared.
        """
        by_name: dict[str, list[Field]] = defaultdict(list)
        for item in observed:
            if item.name not in MISREAD:
                by_name[item.name].append(item)
        for name, items in by_name.items():
            if name in expected:
                self._compare_one(where, name, items, expected[name])
            elif not all(_is_exempt(item, expected) for item in items):
                self.unknown[name] += len(items)

    def _compare_one(self, where: str, name: str, items: list[Field], ours: Sequence[Value]) -> None:
        if all(isinstance(value, bytes) for value in ours):  # long ones come in pieces, one for each packet
            theirs: list[Value] = [b"".join(bytes.fromhex(item.value) for item in items)]
            ours = [b"".join(value for value in ours if isinstance(value, bytes))]
        else:
            theirs = [_shown(item, like) for item, like in zip(items, ours, strict=False)]
            theirs += [item.show for item in items[len(ours) :]]
        if theirs == list(ours):
            self.agreed[name] += len(items)
        else:
            self.disagreements.append(f"{where}: {name}: tshark has {_brief(theirs)}, we have {_brief(ours)}")


def _shown(item: Field, like: Value) -> Value:
    if isinstance(like, bytes):
        return bytes.fromhex(item.value)
    if isinstance(like, str):
        return item.show.rstrip(" ")
    try:
        return int(item.show, 0)
    except ValueError:
        return int(item.value or "0", 16)  # `7f`: a number without prefix


def _is_exempt(item: Field, expected: Expected) -> bool:
    is_compared_in_whole = item.is_bits and item.parent is not None and item.parent.name in expected
    is_reserved = any(word in item.name.rsplit(".", 1)[-1] for word in ("rsvd", "reserved", "rsdv"))
    return not item.size or is_reserved or item.has_parts or is_compared_in_whole


def _brief(values: Sequence[Value]) -> str:
    text = ", ".join(value.hex() if isinstance(value, bytes) else repr(value) for value in values)
    return text if len(text) < 100 else f"{text[:97]}..."


MISREAD = frozenset(
    {
        # tshark 4.0 cuts the 20-bit flow label and the 6-bit rate out of the wrong bits of their word.
        "infiniband.cm.req.prim_flowlabel",
        "infiniband.cm.req.prim_pktrate",
        "infiniband.cm.req.alt_flowlabel",
        "infiniband.cm.req.alt_pktrate",
        # It shows a byte of flags as if it were one flag; the flags themselves are compared.
        "nvme.cmd.identify.ctrl.lpa",
        # It takes the phase tag from the wrong end of the status, and the bit at fault from the bits of the byte.
        "nvme.cmd.get_logpage.errinf.sf.val",
        "nvme.cmd.get_logpage.errinf.sf.ptag",
        "nvme.cmd.get_logpage.errinf.pel.bite",
        # It gives the secure channel one bit instead of two, and takes the next bit for SQ flow control.
        "nvme.cmd.get_logpage.identify.rcrd.treq.secch",
        "nvme.cmd.get_logpage.identify.rcrd.treq.sqfc",
    }
)
"""Fields that tshark 4.0 itself reads wrongly, by the documents and by what Linux does with them."""
