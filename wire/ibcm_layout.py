"""InfiniBand communication manager messages: what follows the MAD header, 232 bytes each (IBTA 12.6).

Names are those of the standard's tables: "local" is the sender of the message, "remote" its receiver. In times, n
stands for 4.096 us * 2^n. Lengths of private data are fixed; its user says how much of it counts.
"""

from typing import Any

from construct import (
    BitsInteger,
    BitStruct,
    Bytes,
    Default,
    Int8ub,
    Int16ub,
    Int24ub,
    Int32ub,
    Int64ub,
    Nibble,
    Padding,
    Struct,
)


def _path(last_bits: tuple[Any, ...]) -> Any:
    """One path of a REQ, 44 bytes; `last_bits` are the three after the local ACK timeout."""
    return Struct(
        "local_lid" / Int16ub,
        "remote_lid" / Int16ub,
        "local_gid" / Bytes(16),
        "remote_gid" / Bytes(16),
        "flow" / BitStruct("flow_label" / BitsInteger(20), Padding(6), "packet_rate" / BitsInteger(6)),
        "traffic_class" / Int8ub,
        "hop_limit" / Int8ub,
        "service" / BitStruct("sl" / Nibble, "subnet_local" / BitsInteger(1), Padding(3)),
        "timeout" / BitStruct("local_ack_timeout" / BitsInteger(5), *last_bits),
    )


_COMM_IDS = ("local_comm_id" / Int32ub, "remote_comm_id" / Int32ub)

CM_REQ = (
    Struct(
        "local_comm_id" / Int32ub,
        Padding(4),
        "service_id" / Int64ub,
        "local_ca_guid" / Int64ub,
        Padding(4),
        "local_qkey" / Int32ub,
        "local_qpn" / Int24ub,
        "responder_resources" / Int8ub,
        "local_eecn" / Int24ub,
        "initiator_depth" / Int8ub,
        "remote_eecn" / Int24ub,
        "byte_43"
        / BitStruct(
            "remote_cm_response_timeout" / BitsInteger(5),
            "transport_type" / BitsInteger(2),
            "flow_control" / BitsInteger(1),
        ),
        "starting_psn" / Int24ub,
        "byte_47" / BitStruct("local_cm_response_timeout" / BitsInteger(5), "retry_count" / BitsInteger(3)),
        "pkey" / Int16ub,
        "byte_50" / BitStruct("path_mtu" / Nibble, "rdc_exists" / BitsInteger(1), "rnr_retry_count" / BitsInteger(3)),
        "byte_51"
        / BitStruct("max_cm_retries" / Nibble, "srq" / BitsInteger(1), "extended_transport_type" / BitsInteger(3)),
        "primary" / _path((Padding(3),)),
        "alternate" / _path(("sap_supported" / BitsInteger(1), Padding(2))),
        "private_data" / Bytes(92),
    )
    * """Request for communication (IBTA 12.6.5).

    transport_type: 0 RC, 1 UC, 2 RD, 3 see extended_transport_type (1 XRC). path_mtu: 1 to 5 for 256 to 4096 bytes.
    LIDs are 0xFFFF on RoCE; GIDs are IPv6 addresses, IPv4 ones mapped. The alternate path is zero when there is none.
    """
)

CM_MRA = (
    Struct(
        *_COMM_IDS,
        "byte_8" / BitStruct("message_mraed" / BitsInteger(2), Padding(6)),
        "byte_9" / BitStruct("service_timeout" / BitsInteger(5), Padding(3)),
        "private_data" / Bytes(222),
    )
    * "Message receipt acknowledgement (IBTA 12.6.6): wait longer. message_mraed: 0 REQ, 1 REP, 2 LAP."
)

CM_REJ = (
    Struct(
        *_COMM_IDS,
        "byte_8" / BitStruct("message_rejected" / BitsInteger(2), Padding(6)),
        "byte_9" / BitStruct("reject_info_length" / BitsInteger(7), Padding(1)),
        "reason" / Int16ub,
        "ari" / Bytes(72),
        "private_data" / Bytes(148),
    )
    * """Reject (IBTA 12.6.7).

    message_rejected: 0 REQ, 1 REP, 2 none of the two. reject_info_length: bytes of ari, the additional reject
    information, that count. reason: see `RejectReason`.
    """
)

CM_REP = (
    Struct(
        *_COMM_IDS,
        "local_qkey" / Int32ub,
        "local_qpn" / Int24ub,
        Padding(1),
        "local_eecn" / Int24ub,
        Padding(1),
        "starting_psn" / Int24ub,
        Padding(1),
        "responder_resources" / Int8ub,
        "initiator_depth" / Int8ub,
        "byte_26"
        / BitStruct(
            "target_ack_delay" / BitsInteger(5), "failover_accepted" / BitsInteger(2), "flow_control" / BitsInteger(1)
        ),
        "byte_27" / BitStruct("rnr_retry_count" / BitsInteger(3), "srq" / BitsInteger(1), Padding(4)),
        "local_ca_guid" / Int64ub,
        "private_data" / Bytes(196),
    )
    * "Reply to a request for communication (IBTA 12.6.8)."
)

CM_RTU = Struct(*_COMM_IDS, "private_data" / Bytes(224)) * "Ready to use (IBTA 12.6.9)."

CM_DREQ = (
    Struct(*_COMM_IDS, "remote_qpn" / Int24ub, Padding(1), "private_data" / Bytes(220))
    * "Request for communication release (IBTA 12.6.10)."
)

CM_DREP = Struct(*_COMM_IDS, "private_data" / Bytes(224)) * "Reply to a request for release (IBTA 12.6.11)."

CM_SIDR_REQ = (
    Struct(
        "request_id" / Int32ub,
        "pkey" / Int16ub,
        Padding(2),
        "service_id" / Int64ub,
        "private_data" / Bytes(216),
    )
    * "Service ID resolution request (IBTA 12.11.1)."
)

CM_SIDR_REP = (
    Struct(
        "request_id" / Int32ub,
        "status" / Int8ub,
        "info_length" / Int8ub,
        Padding(2),
        "qpn" / Int24ub,
        Padding(1),
        "service_id" / Int64ub,
        "qkey" / Int32ub,
        "info" / Bytes(72),
        "private_data" / Bytes(136),
    )
    * "Service ID resolution reply (IBTA 12.11.2). status: see `SidrStatus`."
)

CM_LAP = (
    Struct(
        *_COMM_IDS,
        Padding(4),
        "remote_qpn" / Int24ub,
        "byte_15" / BitStruct("remote_cm_response_timeout" / BitsInteger(5), Padding(3)),
        Padding(4),
        "local_lid" / Int16ub,
        "remote_lid" / Int16ub,
        "local_gid" / Bytes(16),
        "remote_gid" / Bytes(16),
        "flow" / BitStruct("flow_label" / BitsInteger(20), Padding(4), "traffic_class" / BitsInteger(8)),
        "hop_limit" / Int8ub,
        "byte_61" / BitStruct(Padding(2), "packet_rate" / BitsInteger(6)),
        "byte_62" / BitStruct("sl" / Nibble, "subnet_local" / BitsInteger(1), Padding(3)),
        "byte_63" / BitStruct("local_ack_timeout" / BitsInteger(5), Padding(3)),
        "private_data" / Bytes(168),
    )
    * "Load alternate path (IBTA 12.6.12), here the only path. No capture: offsets as in ibta_vol1_c12.h."
)

CM_APR = (
    Struct(
        *_COMM_IDS,
        "info_length" / Int8ub,
        "ap_status" / Int8ub,
        Padding(2),
        "info" / Bytes(72),
        "private_data" / Bytes(148),
    )
    * "Alternate path response (IBTA 12.6.13). No capture: offsets as in ibta_vol1_c12.h."
)

IP_CM_HEADER = (
    Struct(
        "version" / BitStruct("cma_major" / Nibble, "cma_minor" / Nibble),
        "family" / BitStruct("ip_version" / Default(Nibble, 4), Padding(4)),
        "source_port" / Int16ub,
        "source_address" / Bytes(16),
        "destination_address" / Bytes(16),
    )
    * """The RDMA-CM private header (IBTA Annex A11), first 36 bytes of the private data of a REQ or SIDR_REQ.

    ip_version: 4 or 6. An IPv4 address is in the last 4 of its 16 bytes, the others are zero.
    """
)
