"""The counters of a device, under the names that Linux rxe gives them (rxe_hw_counters.c), and some more."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import Counters


@dataclass(slots=True, eq=False)
class RdmaCounters(Counters):
    """Everything a device counts. The first fifteen are rxe's, counted where rxe counts them:

    out_of_seq_request: gaps, not the packets behind them. rcvd_seq_err: sequence NAKs that acknowledge something.
    completer_retry_err: each going back, after a NAK as after a timeout. rdma_sends: SENDs that completed, one that
    failed too, those that were flushed not. link_downed: `Device.set_port_state`.
    DEVIATION: send_err stays 0, since a send that fails is the transport's to count. ack_deferred counts
    acknowledgements that let a request go ahead; rxe's are responses that found its completer busy, and ours never is.
    Gaps of UC count as out_of_seq_request as well, which rxe passes over.
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
    rcvd_ahead_pkts: int = 0
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
