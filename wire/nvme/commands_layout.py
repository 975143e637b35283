"""Submission and completion queue entries, and the views of single commands over the same 64 bytes.

`SubmissionEntry` fits every command; a view such as `ReadWrite` names the command dwords of one kind of command and
has the same common part, so that either decodes the other's bytes. Quantities marked 0-based on the wire (`nlb`,
`numdl`, `nr`) are as on the wire: n stands for n + 1.

Follows NVM Express Base 2.0 (3.3.1, 3.3.3, 5) and NVM Command Set 1.0 (3). Fast codecs: `commands_codec`. Checked
against Linux in tests/captures; no capture has a Copy command.
"""

from __future__ import annotations

from construct import (
    BitsInteger,
    BitStruct,
    Bytes,
    ByteSwapped,
    Default,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64ul,
    Padding,
    Struct,
)

# The flags say SGL, as every command over fabrics does.
_HEAD = (
    "opcode" / Int8ul,
    "flags" / Default(Int8ul, 0x40),
    "cid" / Int16ul,
    "nsid" / Int32ul,
    "cdw2" / Int32ul,
    "cdw3" / Int32ul,
    "mptr" / Int64ul,
    "sgl" / Bytes(16),
)

SUBMISSION_ENTRY = (
    Struct(
        *_HEAD,
        "cdw10" / Int32ul,
        "cdw11" / Int32ul,
        "cdw12" / Int32ul,
        "cdw13" / Int32ul,
        "cdw14" / Int32ul,
        "cdw15" / Int32ul,
    )
    * "Submission queue entry, the common form of every command (NVMe Base 3.3.1)."
)

COMPLETION_ENTRY = (
    Struct(
        "dw0" / Int32ul,
        "dw1" / Int32ul,
        "sqhd" / Int16ul,
        "sqid" / Int16ul,
        "cid" / Int16ul,
        "status" / Int16ul,
    )
    * "Completion queue entry; status is read with `status_code` and its siblings (NVMe Base 3.3.3.2)."
)

READ_WRITE = (
    Struct(
        *_HEAD,
        "slba" / Int64ul,
        "nlb" / Int16ul,
        "control" / Int16ul,
        "dsm" / Int32ul,
        "reference_tag" / Int32ul,
        "application_tag" / Int16ul,
        "application_mask" / Int16ul,
    )
    * """Read, Write, Compare, Verify, Write Zeroes. control: LR 15, FUA 14, PRINFO 13-10,
    STC 8 (NVM Command Set 3.2.4).
    """
)

IDENTIFY_COMMAND = (
    Struct(
        *_HEAD,
        "cns" / Int8ul,
        Padding(1),
        "cntid" / Int16ul,
        "cns_specific" / Int16ul,
        Padding(1),
        "csi" / Int8ul,
        "cdw12" / Int32ul,
        "cdw13" / Int32ul,
        "uuid_index" / Int32ul,
        "cdw15" / Int32ul,
    )
    * "NVMe Base 5.17: CDW10 CNS and CNTID, CDW11 CNS specific identifier and CSI, CDW14 UUID index."
)

GET_LOG_PAGE = (
    Struct(
        *_HEAD,
        "lid" / Int8ul,
        "lsp_rae" / Int8ul,
        "numdl" / Int16ul,
        "numdu" / Int16ul,
        "lsi" / Int16ul,
        "lpo" / Int64ul,
        "uuid_index" / Int8ul,
        Padding(2),
        "csi" / Int8ul,
        "cdw15" / Int32ul,
    )
    * """NVMe Base 5.16. lsp_rae: RAE bit 7, LSP bits 6-0. Dwords wanted, 0-based: numdu << 16 | numdl. lpo: offset in
    bytes.
    """
)

FEATURES_COMMAND = (
    Struct(
        *_HEAD,
        "fid" / Int8ul,
        "select" / Int8ul,
        Padding(1),
        "save" / Int8ul,
        "cdw11" / Int32ul,
        "cdw12" / Int32ul,
        "cdw13" / Int32ul,
        "uuid_index" / Int32ul,
        "cdw15" / Int32ul,
    )
    * """Set Features and Get Features (NVMe Base 5.15, 5.27). select: SEL in bits 2-0 for Get; save: SV in bit 7 for
    Set.
    """
)

ABORT_COMMAND = (
    Struct(
        *_HEAD,
        "sqid" / Int16ul,
        "abort_cid" / Int16ul,
        "cdw11" / Int32ul,
        "cdw12" / Int32ul,
        "cdw13" / Int32ul,
        "cdw14" / Int32ul,
        "cdw15" / Int32ul,
    )
    * "NVMe Base 5.1: which command of which submission queue to give up."
)

DATASET_MANAGEMENT = (
    Struct(
        *_HEAD,
        "nr" / Int8ul,
        Padding(3),
        "attributes" / Int32ul,
        "cdw12" / Int32ul,
        "cdw13" / Int32ul,
        "cdw14" / Int32ul,
        "cdw15" / Int32ul,
    )
    * "NVM Command Set 3.2.3. nr: number of ranges, 0-based; attributes: `DatasetAttribute`."
)

DATASET_RANGE = (
    Struct(
        "context" / Int32ul,
        "blocks" / Int32ul,
        "slba" / Int64ul,
    )
    * "One range of Dataset Management; blocks is 1-based, zero is an empty range."
)

COPY_COMMAND = (
    Struct(
        *_HEAD,
        "sdlba" / Int64ul,
        "nr" / Int8ul,
        "format_prinfor" / Int8ul,
        "control" / Int16ul,
        "cdw13" / Int32ul,
        "reference_tag" / Int32ul,
        "application_tag" / Int16ul,
        "application_mask" / Int16ul,
    )
    * """Copy (NVM Command Set 3.2.2). nr: number of source ranges, 0-based; format_prinfor: PRINFOR 7-4, descriptor
    format 3-0; control: LR 15, FUA 14, PRINFOW 13-10, STCW 8, DTYPE 7-4.
    """
)

COPY_RANGE = (
    Struct(
        Padding(8),
        "slba" / Int64ul,
        "nlb" / Int16ul,
        Padding(6),
        "reference_tag" / Int32ul,
        "application_tag" / Int16ul,
        "application_mask" / Int16ul,
    )
    * "One source range of Copy, descriptor format 0h (NVM Command Set figure 34). nlb: blocks, 0-based."
)

ASYNC_EVENT = (
    ByteSwapped(
        BitStruct(
            Padding(8),
            "log_page" / BitsInteger(8),
            "information" / BitsInteger(8),
            Padding(5),
            "event_type" / BitsInteger(3),
        )
    )
    * "DW0 of an asynchronous event's completion (NVMe Base figure 147)."
)

QUEUE_COUNTS = (
    Struct(
        "submission" / Int16ul,
        "completion" / Int16ul,
    )
    * "DW0 of feature 07h, both directions: queues asked for or allocated, 0-based (NVMe Base 5.27.1.5)."
)
