"""Identify data: the controller page, the namespace page of the NVM command set, and the pieces of the others.

Text fields (`sn`, `mn`, `fr`, `subnqn`) are bytes as on the wire: ASCII padded with spaces, NQNs with NULs. Arrays of
smaller layouts are bytes too: `LbaFormat` x 64 in `lbaf`, `PowerState` x 32 in `psd`.

Follows NVM Express Base 2.0 5.17.2 and NVM Command Set 1.0 4.1.5. Fast codecs: `identify_codec`; checked against
Linux in tests/captures.
"""

from __future__ import annotations

from construct import Bytes, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

IDENTIFY_CONTROLLER = (
    Struct(
        "vid" / Int16ul,
        "ssvid" / Int16ul,
        "sn" / Bytes(20),
        "mn" / Bytes(40),
        "fr" / Bytes(8),
        "rab" / Int8ul,
        "ieee" / Bytes(3),
        "cmic" / Int8ul,
        "mdts" / Int8ul,
        "cntlid" / Int16ul,
        "ver" / Int32ul,
        "rtd3r" / Int32ul,
        "rtd3e" / Int32ul,
        "oaes" / Int32ul,
        "ctratt" / Int32ul,
        "rrls" / Int16ul,
        Padding(9),
        "cntrltype" / Int8ul,
        "fguid" / Bytes(16),
        "crdt1" / Int16ul,
        "crdt2" / Int16ul,
        "crdt3" / Int16ul,
        Padding(119),
        "nvmsr" / Int8ul,
        "vwci" / Int8ul,
        "mec" / Int8ul,
        "oacs" / Int16ul,
        "acl" / Int8ul,
        "aerl" / Int8ul,
        "frmw" / Int8ul,
        "lpa" / Int8ul,
        "elpe" / Int8ul,
        "npss" / Int8ul,
        "avscc" / Int8ul,
        "apsta" / Int8ul,
        "wctemp" / Int16ul,
        "cctemp" / Int16ul,
        "mtfa" / Int16ul,
        "hmpre" / Int32ul,
        "hmmin" / Int32ul,
        "tnvmcap" / Int64ul,
        "tnvmcap_high" / Int64ul,
        "unvmcap" / Int64ul,
        "unvmcap_high" / Int64ul,
        "rpmbs" / Int32ul,
        "edstt" / Int16ul,
        "dsto" / Int8ul,
        "fwug" / Int8ul,
        "kas" / Int16ul,
        "hctma" / Int16ul,
        "mntmt" / Int16ul,
        "mxtmt" / Int16ul,
        "sanicap" / Int32ul,
        "hmminds" / Int32ul,
        "hmmaxd" / Int16ul,
        "nsetidmax" / Int16ul,
        "endgidmax" / Int16ul,
        "anatt" / Int8ul,
        "anacap" / Int8ul,
        "anagrpmax" / Int32ul,
        "nanagrpid" / Int32ul,
        "pels" / Int32ul,
        "domainid" / Int16ul,
        Padding(10),
        "megcap" / Int64ul,
        "megcap_high" / Int64ul,
        "tmpthha" / Int8ul,
        Padding(127),
        "sqes" / Int8ul,
        "cqes" / Int8ul,
        "maxcmd" / Int16ul,
        "nn" / Int32ul,
        "oncs" / Int16ul,
        "fuses" / Int16ul,
        "fna" / Int8ul,
        "vwc" / Int8ul,
        "awun" / Int16ul,
        "awupf" / Int16ul,
        "icsvscc" / Int8ul,
        "nwpc" / Int8ul,
        "acwu" / Int16ul,
        "ocfs" / Int16ul,
        "sgls" / Int32ul,
        "mnan" / Int32ul,
        "maxdna" / Int64ul,
        "maxdna_high" / Int64ul,
        "maxcna" / Int32ul,
        "oaqd" / Int32ul,
        Padding(200),
        "subnqn" / Bytes(256),
        Padding(768),
        "ioccsz" / Int32ul,
        "iorcsz" / Int32ul,
        "icdoff" / Int16ul,
        "fcatt" / Int8ul,
        "msdbd" / Int8ul,
        "ofcs" / Int16ul,
        "dctype" / Int8ul,
        Padding(241),
        "psd" / Bytes(1024),
        "vendor" / Bytes(1024),
    )
    * "CNS 01h (NVMe Base figure 275; tmpthha and oaqd are of NVMe Base 2.1 5.1.13.2.1)."
)

IDENTIFY_NAMESPACE = (
    Struct(
        "nsze" / Int64ul,
        "ncap" / Int64ul,
        "nuse" / Int64ul,
        "nsfeat" / Int8ul,
        "nlbaf" / Int8ul,
        "flbas" / Int8ul,
        "mc" / Int8ul,
        "dpc" / Int8ul,
        "dps" / Int8ul,
        "nmic" / Int8ul,
        "rescap" / Int8ul,
        "fpi" / Int8ul,
        "dlfeat" / Int8ul,
        "nawun" / Int16ul,
        "nawupf" / Int16ul,
        "nacwu" / Int16ul,
        "nabsn" / Int16ul,
        "nabo" / Int16ul,
        "nabspf" / Int16ul,
        "noiob" / Int16ul,
        "nvmcap" / Int64ul,
        "nvmcap_high" / Int64ul,
        "npwg" / Int16ul,
        "npwa" / Int16ul,
        "npdg" / Int16ul,
        "npda" / Int16ul,
        "nows" / Int16ul,
        "mssrl" / Int16ul,
        "mcl" / Int32ul,
        "msrc" / Int8ul,
        Padding(1),
        "nulbaf" / Int8ul,
        Padding(9),
        "anagrpid" / Int32ul,
        Padding(3),
        "nsattr" / Int8ul,
        "nvmsetid" / Int16ul,
        "endgid" / Int16ul,
        "nguid" / Bytes(16),
        "eui64" / Bytes(8),
        "lbaf" / Bytes(256),
        "vendor" / Bytes(3712),
    )
    * "CNS 00h (NVM Command Set figure 97)."
)

LBA_FORMAT = (
    Struct(
        "ms" / Int16ul,
        "lbads" / Int8ul,
        "rp" / Int8ul,
    )
    * "ms: metadata bytes a block; lbads: block size as a power of two; rp: relative performance, bits 1-0."
)

IDENTIFY_NAMESPACE_INDEPENDENT = (
    Struct(
        "nsfeat" / Int8ul,
        "nmic" / Int8ul,
        "rescap" / Int8ul,
        "fpi" / Int8ul,
        "anagrpid" / Int32ul,
        "nsattr" / Int8ul,
        Padding(1),
        "nvmsetid" / Int16ul,
        "endgid" / Int16ul,
        "nstat" / Int8ul,
        Padding(4081),
    )
    * "CNS 08h, the part of a namespace that no command set changes (NVMe Base figure 280)."
)

IDENTIFY_CONTROLLER_NVM = (
    Struct(
        "vsl" / Int8ul,
        "wzsl" / Int8ul,
        "wusl" / Int8ul,
        "dmrl" / Int8ul,
        "dmrsl" / Int32ul,
        "dmsl" / Int64ul,
        Padding(4080),
    )
    * "CNS 06h with CSI 0 (NVM Command Set figure 101): size limits as powers of two of the minimum page size."
)

NAMESPACE_DESCRIPTOR_HEADER = (
    Struct(
        "nidt" / Int8ul,
        "nidl" / Int8ul,
        Padding(2),
    )
    * "Head of one entry of CNS 03h; `length` bytes of identifier follow."
)

POWER_STATE = (
    Struct(
        "mp" / Int16ul,
        Padding(1),
        "flags" / Int8ul,
        "enlat" / Int32ul,
        "exlat" / Int32ul,
        "rrt" / Int8ul,
        "rrl" / Int8ul,
        "rwt" / Int8ul,
        "rwl" / Int8ul,
        "idlp" / Int16ul,
        "ips" / Int8ul,
        Padding(1),
        "actp" / Int16ul,
        "apw" / Int8ul,
        Padding(9),
    )
    * "One power state descriptor (NVMe Base figure 276), the fields that a host without power states reads."
)
