"""Values and data of features: what CDW11 and DW0 of Set and Get Features hold, and data structures that go beside.

Only features with more than one field in them are here; the others are plain numbers.

Follows NVM Express Base 2.0 5.27.1 and NVM Command Set 1.0 4.1.3. Fast codecs: `features_codec`. No capture has these.
"""

from __future__ import annotations

from construct import Bit, BitsInteger, BitStruct, ByteSwapped, Int8ul, Int16ul, Padding, Struct

FEATURE_CAPABILITIES = (
    ByteSwapped(
        BitStruct(
            Padding(29),
            "changeable" / Bit,
            "namespace_specific" / Bit,
            "saveable" / Bit,
        )
    )
    * "DW0 of Get Features with SEL 3 (NVMe Base figure 195)."
)

POWER_MANAGEMENT = (
    ByteSwapped(
        BitStruct(
            Padding(24),
            "workload_hint" / BitsInteger(3),
            "power_state" / BitsInteger(5),
        )
    )
    * "Feature 02h."
)

TEMPERATURE_THRESHOLD = (
    ByteSwapped(
        BitStruct(
            Padding(10),
            "thsel" / BitsInteger(2),
            "tmpsel" / BitsInteger(4),
            "tmpth" / BitsInteger(16),
        )
    )
    * "Feature 04h. tmpth in kelvin; tmpsel: 0 composite, 1 to 8 sensors, 15 all; thsel: 0 over, 1 under."
)

ERROR_RECOVERY = (
    ByteSwapped(
        BitStruct(
            Padding(15),
            "dulbe" / Bit,
            "tler" / BitsInteger(16),
        )
    )
    * "Feature 05h. tler in 100 ms, 0 for no limit."
)

TIMESTAMP = (
    ByteSwapped(
        BitStruct(
            Padding(12),
            "origin" / BitsInteger(3),
            "synch" / Bit,
            "timestamp" / BitsInteger(48),
        )
    )
    * "Data of feature 0Eh. timestamp in milliseconds since 1970 when a host set it (origin 1), or since a reset (0)."
)

HOST_BEHAVIOR = (
    Struct(
        "acre" / Int8ul,
        "etdas" / Int8ul,
        "lbafee" / Int8ul,
        Padding(1),
        "cdfe" / Int16ul,
        Padding(506),
    )
    * """Data of feature 16h. acre: advanced command retry; etdas: telemetry area 4; lbafee: LBA format extension; cdfe:
    copy descriptor formats 2h to 4h.
    """
)
