"""The counters of a device, under the names that Linux rxe gives them (rxe_hw_counters.c), and some more."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import Counters


@dataclass(slots=True, eq=False)
class RdmaCounters(Counters):
    """Everything a device counts.

    send_err and link_downed stay 0: a core has no link, and a send that fails is the transport's to count.
    """

    sent_pkts: int = 0
    rcvd_pkts: int = 0
    duplicate_request: int = 0
    out_of_seq_request: int = 0
    rcvd_rnr_err: int = 0
    send_rnr_err: int = 0
    rcvd_seq_err: int = 0
    ack_deferred: int = 0
    retry_exceeded_err: int = 0
    retry_rnr_exceeded_err: int = 0
    completer_retry_err: int = 0
    send_err: int = 0
    link_downed: int = 0
    rdma_sends: int = 0
    rdma_recvs: int = 0
    # Not rxe's:
    send_seq_err: int = 0
    duplicate_response: int = 0
    rcvd_truncated_pkts: int = 0
    rcvd_icrc_err: int = 0
    rcvd_version_err: int = 0
    rcvd_pkey_err: int = 0
    rcvd_qpn_err: int = 0
    rcvd_source_err: int = 0
    rcvd_opcode_err: int = 0
    rcvd_mad_err: int = 0
    rcvd_dropped_messages: int = 0
    rcvd_qkey_err: int = 0
    dropped_async_events: int = 0
    # Congestion, as mlx5 calls it:
    np_ecn_marked_roce_packets: int = 0
    np_cnp_sent: int = 0
    rp_cnp_handled: int = 0
    rp_cnp_ignored: int = 0
