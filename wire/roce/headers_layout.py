"""The RoCEv2 transport headers: BTH and its eleven extended headers (IBTA 9.2, 9.3)."""

from construct import BitsInteger, BitStruct, Bytes, Int8ub, Int24ub, Int32ub, Int64ub, Padding, Struct

BTH = (
    BitStruct(
        "opcode" / BitsInteger(8),
        "solicited" / BitsInteger(1),
        "mig_req" / BitsInteger(1),
        "pad_count" / BitsInteger(2),
        "tver" / BitsInteger(4),
        "pkey" / BitsInteger(16),
        "fecn" / BitsInteger(1),
        "becn" / BitsInteger(1),
        Padding(6),
        "dest_qp" / BitsInteger(24),
        "ack_req" / BitsInteger(1),
        Padding(7),
        "psn" / BitsInteger(24),
    )
    * """Base Transport Header (IBTA 9.2), the first of every packet.

    opcode: see `Opcode`. pad_count: zero bytes, 0 to 3, that follow the payload. tver: transport version, 0.
    dest_qp: 24 bits; 0xFFFFFF is multicast. psn: packet sequence number, 24 bits.
    """
)

RDETH = (
    Struct(Padding(1), "ee_context" / Int24ub)
    * "Reliable Datagram Extended Transport Header (IBTA 9.3.1): the end-to-end context, 24 bits."
)

DETH = (
    Struct("qkey" / Int32ub, Padding(1), "source_qp" / Int24ub)
    * "Datagram Extended Transport Header (IBTA 9.3.2), in every UD packet."
)

RETH = (
    Struct("va" / Int64ub, "rkey" / Int32ub, "length" / Int32ub)
    * "RDMA Extended Transport Header (IBTA 9.3.3): remote address, key, length of the whole message in bytes."
)

ATOMIC_ETH = (
    Struct("va" / Int64ub, "rkey" / Int32ub, "swap_add" / Int64ub, "compare" / Int64ub)
    * """Atomic Extended Transport Header (IBTA 9.3.4).

    swap_add: what CmpSwap stores or FetchAdd adds. compare: what CmpSwap compares with; 0 for FetchAdd.
    """
)

XRC_ETH = (
    Struct(Padding(1), "srq" / Int24ub)
    * "XRC Extended Transport Header (IBTA Annex A14): the shared receive queue, 24 bits."
)

AETH = (
    Struct("syndrome" / Int8ub, "msn" / Int24ub)
    * "ACK Extended Transport Header (IBTA 9.3.5): ACK, RNR NAK or NAK code, and MSN, 24 bits."
)

ATOMIC_ACK_ETH = (
    Struct("original" / Int64ub) * "Atomic ACK Extended Transport Header (IBTA 9.3.6): the value that was there before."
)

IMM_DT = Struct("imm" / Bytes(4)) * "Immediate data (IBTA 9.3.7): four bytes that nobody but the consumer interprets."

IETH = Struct("rkey" / Int32ub) * "Invalidate Extended Transport Header (IBTA 9.3.8): the key to invalidate."

FETH = (
    BitStruct(Padding(26), "selectivity" / BitsInteger(2), "placement" / BitsInteger(4))
    * """FLUSH Extended Transport Header (IBTA Annex A19).

    selectivity: 0 a range, 1 the whole region. placement: bit 0 globally visible, bit 1 persistent.
    """
)
