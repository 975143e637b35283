"""Controller properties: their offsets and sizes. Their bits are layouts in `registers`.

Follows NVM Express Base 2.0 3.1.3; over fabrics they are reached with Property Get and Property Set.
"""

from __future__ import annotations

from enum import IntEnum


class PropertyOffset(IntEnum):
    """Offset of a property in bytes."""

    CAP = 0x00
    VS = 0x08
    CC = 0x14
    CSTS = 0x1C
    NSSR = 0x20
    CRTO = 0x68


class PropertySize(IntEnum):
    """ATTRIB of Property Get and Property Set: how wide the property is."""

    FOUR_BYTES = 0
    EIGHT_BYTES = 1


class ShutdownNotification(IntEnum):
    """CC.SHN, what kind of shutdown the host asks for."""

    NONE = 0
    NORMAL = 1
    ABRUPT = 2


class ShutdownStatus(IntEnum):
    """CSTS.SHST, how far a shutdown got."""

    NORMAL_OPERATION = 0
    IN_PROGRESS = 1
    COMPLETE = 2


VERSION_1_3 = 0x00010300
VERSION_2_0 = 0x00020000
"""Values of VS and Identify's VER: major << 16 | minor << 8 | tertiary."""
