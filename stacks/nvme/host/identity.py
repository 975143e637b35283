"""What tells a namespace from others, over whichever path it is seen.

Follows NVM Express Base 2.0 4.7.1: UUID, NGUID and EUI64, as far as a namespace has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.kinds import IdentifierType


@dataclass(frozen=True, slots=True)
class NamespaceIdentity:
    """The identifiers of a namespace; empty or zero where it has none."""

    uuid: bytes = b""
    nguid: bytes = bytes(16)
    eui64: bytes = bytes(8)

    @classmethod
    def of(cls, data: IdentifyNamespace, identifiers: Iterable[tuple[int, bytes]]) -> NamespaceIdentity:
        """From Identify Namespace and the list of descriptors, which has the last word."""
        found = dict(identifiers)
        return cls(
            uuid=found.get(IdentifierType.UUID, b""),
            nguid=found.get(IdentifierType.NGUID, data.nguid),
            eui64=found.get(IdentifierType.EUI64, data.eui64),
        )
