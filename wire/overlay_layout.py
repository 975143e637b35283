"""The file of a copy-on-write layer: two headers, then cells of a block each, with data and pages of block maps.

A format of our own, so there is no published vector. Everything is little-endian.

    0     a header, `OverlayHeader`, `OverlaySnapshot`s behind it, zeroes up to 4096 bytes
    4096  the other header, alike
    8192  cells; cell n is the `block_bytes` at offset n * block_bytes

Of the two headers the one of the higher generation counts, among those whose CRC is right; the next one is written
over the other. A header is written when everything that it leads to is on the medium, so at any moment one of them is
whole and leads to a whole layer; cells that neither reaches are free.

A map says for each block of the base where it is now. It is a tree of pages, each of them a cell: 64-bit entries, and
an `OverlayPageEnd` in the last eight bytes. Pages of level 0 have an entry for each block; those above, one for each
page below; `root` is an entry for the highest, whose level is the lowest at which one page reaches all blocks.

    entry 0  as in the base, for one block or for all below
    entry 1  zeroes, likewise
    entry n  in cell n: the block's data, or the page below

A snapshot is the root of a map of its own. Maps share what is the same in them; nothing that a snapshot reaches is
written again while it exists.
"""

from __future__ import annotations

from construct import Bytes, Int32ul, Int64ul, Padding, Struct

OVERLAY_HEADER = (
    Struct(
        "magic" / Bytes(8),
        "version" / Int32ul,
        "block_bytes" / Int32ul,
        "block_count" / Int64ul,
        "generation" / Int64ul,
        "root" / Int64ul,
        "snapshot_count" / Int32ul,
        "crc" / Int32ul,
        Padding(16),
    )
    * "The state of a layer. crc: CRC-32 of the header's 4096 bytes, in which it is 0."
)

OVERLAY_SNAPSHOT = (
    Struct(
        "name" / Bytes(48),
        "root" / Int64ul,
        "generation" / Int64ul,
    )
    * "A snapshot: its name in ASCII, padded with zeroes, and the generation of the header that it came with."
)

OVERLAY_PAGE_END = (
    Struct(
        "level" / Int32ul,
        "crc" / Int32ul,
    )
    * "The end of a page. crc: CRC-32 of the page up to here."
)
