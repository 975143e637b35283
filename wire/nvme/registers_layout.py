"""Bits of the controller's properties: CAP, CC, CSTS, VS.

Follows NVM Express Base 2.0 3.1.3. Fast codecs: `registers_codec`; each takes the property's bytes as they lie in
memory, little-endian: `ControllerCapabilities.decode(value.to_bytes(8, "little"))`.
"""

from __future__ import annotations

from construct import Bit, BitsInteger, BitStruct, ByteSwapped, Int8ul, Padding, Struct

CONTROLLER_CAPABILITIES = (
    ByteSwapped(
        BitStruct(
            Padding(3),
            "crms" / BitsInteger(2),
            "nsss" / Bit,
            "cmbs" / Bit,
            "pmrs" / Bit,
            "mpsmax" / BitsInteger(4),
            "mpsmin" / BitsInteger(4),
            "cps" / BitsInteger(2),
            "bps" / Bit,
            "css" / BitsInteger(8),
            "nssrs" / Bit,
            "dstrd" / BitsInteger(4),
            "timeout" / BitsInteger(8),
            Padding(5),
            "ams" / BitsInteger(2),
            "cqr" / Bit,
            "mqes" / BitsInteger(16),
        )
    )
    * "CAP. mqes 0-based; timeout (TO) in 500 ms; css: bit 0 NVM, 6 several sets, 7 none."
)

CONTROLLER_CONFIGURATION = (
    ByteSwapped(
        BitStruct(
            Padding(7),
            "crime" / Bit,
            "iocqes" / BitsInteger(4),
            "iosqes" / BitsInteger(4),
            "shn" / BitsInteger(2),
            "ams" / BitsInteger(3),
            "mps" / BitsInteger(4),
            "css" / BitsInteger(3),
            Padding(3),
            "en" / Bit,
        )
    )
    * "CC. iosqes, iocqes: entry sizes as powers of two; shn: `ShutdownNotification`."
)

CONTROLLER_STATUS = (
    ByteSwapped(
        BitStruct(
            Padding(25),
            "st" / Bit,
            "pp" / Bit,
            "nssro" / Bit,
            "shst" / BitsInteger(2),
            "cfs" / Bit,
            "rdy" / Bit,
        )
    )
    * "CSTS. shst: `ShutdownStatus`; cfs: the controller failed for good."
)

CONTROLLER_VERSION = (
    Struct(
        "tertiary" / Int8ul,
        "minor" / Int8ul,
        "major" / Int8ul,
        Padding(1),
    )
    * "VS, and VER of Identify Controller."
)
