"""Private data of the connection manager's messages that open an NVMe/RDMA queue.

The request follows the 36-byte IP-CM header in a REQ's private data; accept and reject are at the start of a REP's and
of a REJ's (reason 28, consumer).

Follows the NVMe/RDMA transport specification 1.0 (3.2). Fast codecs: `rdma_codec`; checked against Linux in
tests/captures.
"""

from __future__ import annotations

from construct import Int16ul, Padding, Struct

RDMA_CONNECT_REQUEST = (
    Struct(
        "recfmt" / Int16ul,
        "qid" / Int16ul,
        "hrqsize" / Int16ul,
        "hsqsize" / Int16ul,
        "cntlid" / Int16ul,
        Padding(22),
    )
    * """Private data of a REQ. hrqsize: receives that the host posts; hsqsize: its submission queue, 0-based. Linux 6.1
    leaves cntlid zero.
    """
)

RDMA_CONNECT_ACCEPT = (
    Struct(
        "recfmt" / Int16ul,
        "crqsize" / Int16ul,
        Padding(28),
    )
    * "Private data of a REP. crqsize: receives that the controller posts."
)

RDMA_CONNECT_REJECT = (
    Struct(
        "recfmt" / Int16ul,
        "status" / Int16ul,
    )
    * "Private data of a REJ. status: an `RdmaRejectStatus`."
)
