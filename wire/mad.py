"""Management datagrams: the common header and the numbers in it (IBTA 13.4)."""

from __future__ import annotations

from enum import IntEnum

from wire.mad_codec import MadHeader

MAD_SIZE = 256
GSI_QPN = 1
GSI_QKEY = 0x80010000
"""Q_Key of every QP1 (IBTA 10.2.5)."""


class MgmtClass(IntEnum):
    """Management classes."""

    SUBNET_LID_ROUTED = 0x01
    SUBNET_ADMINISTRATION = 0x03
    PERFORMANCE = 0x04
    COMMUNICATION = 0x07
    SUBNET_DIRECTED = 0x81


class Method(IntEnum):
    """Methods that a MAD asks for."""

    GET = 0x01
    SET = 0x02
    SEND = 0x03
    TRAP = 0x05
    GET_RESPONSE = 0x81


__all__ = ["GSI_QKEY", "GSI_QPN", "MAD_SIZE", "MadHeader", "Method", "MgmtClass"]
