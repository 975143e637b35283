"""What RC, UC, UD and XRC can answer, complete with and report, and which test reaches each; or why none can.

`python -m tests.stacks.rdma.proofs.catalogue` prints it as `docs/verbs-coverage.md`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a code or rule, where it is said, and the tests that reach it or the reason why there is none.

    tests: `file::name` under tests/stacks/rdma.
    """

    name: str
    source: str
    tests: tuple[str, ...] = ()
    reason: str = ""


def reached(name: str, source: str, *tests: str) -> Entry:
    """An entry that tests reach."""
    return Entry(name, source, tests=tests)


def never(name: str, source: str, reason: str) -> Entry:
    """An entry that a software device cannot produce."""
    return Entry(name, source, reason=reason)


RD = "reliable datagrams: no device has them, Linux rxe neither"
NO_SM = "no subnet manager on Ethernet"
REFUSALS, RECOVERY = "test_refusals.py::test_", "test_requester_recovery.py::test_"
UC, UD = "unreliable/test_uc_responder.py::test_", "unreliable/test_datagrams.py::test_"
XRC, SRQ, EVENTS = "test_xrc.py::test_", "test_srq.py::test_", "test_async_event_types.py::test_"
RULES = "proofs/test_opcode_rules.py::test_"

SYNDROMES = (
    reached(
        "ACK (0x00 to 0x1F)", "IBTA 9.7.5.2.8",
        "test_responder_recovery.py::test_only_packets_that_ask_are_acknowledged_and_one_answers_for_all",
        "test_read_responses.py::test_the_credits_that_a_read_response_names_do_not_matter",
    ),
    reached(
        "RNR NAK (0x20 to 0x3F)", "IBTA 9.7.5.2.8, 9.9.2.3",
        REFUSALS + "without_a_receive_the_answer_is_rnr_and_the_queue_pair_lives",
        SRQ + "an_empty_shared_queue_answers_rnr_until_a_receive_is_posted",
        XRC + "an_empty_queue_is_answered_with_rnr_and_the_request_taken_later",
        RECOVERY + "an_rnr_nak_is_waited_out_for_the_time_that_it_names",
    ),
    reached(
        "reserved (0x40 to 0x5F)", "IBTA 9.7.5.2.8", RECOVERY + "a_nak_ends_its_request_and_flushes_the_rest_in_order"
    ),
    reached(
        "NAK 0, PSN sequence error", "IBTA 9.7.5.2.8, 9.7.4.1.1",
        "test_responder_recovery.py::test_a_gap_is_reported_once_with_the_first_missing_psn",
        RULES + "every_request_in_every_place_is_answered_as_the_reviewed_table_says",
        RECOVERY + "a_sequence_nak_sends_again_from_its_psn_and_its_repetition_does_not",
    ),
    reached(
        "NAK 1, invalid request", "IBTA 9.7.5.2.8, 9.7.4.1.2 to 9.7.4.1.6, A14",
        REFUSALS + "wrong_sequences_and_lengths_are_invalid_requests",
        REFUSALS + "a_right_that_the_queue_pair_lacks_is_an_invalid_request",
        REFUSALS + "without_rd_atomic_resources_reads_and_atomics_are_invalid_requests",
        "test_flush.py::test_a_flush_that_must_not_be_is_refused",
        XRC + "a_number_that_is_nobodys_is_an_invalid_request",
    ),
    reached(
        "NAK 2, remote access error", "IBTA 9.7.5.2.8, 9.7.4.1.5, A14",
        REFUSALS + "ranges_and_keys_that_are_not_there_are_remote_access_errors",
        REFUSALS + "a_right_that_the_region_lacks_is_a_remote_access_error",
        "test_windows.py::test_a_window_ends_where_it_was_bound",
        XRC + "a_queue_of_another_domain_is_an_access_error",
    ),
    reached(
        "NAK 3, remote operational error", "IBTA 9.7.5.2.8, 9.9.3",
        REFUSALS + "a_receive_into_memory_that_is_not_there_is_a_remote_operational_error",
    ),
    never("NAK 4, invalid RD request", "IBTA 9.7.5.2.8", RD),
    reached(
        "NAK 5 to 31, reserved", "IBTA 9.7.5.2.8", RECOVERY + "a_nak_ends_its_request_and_flushes_the_rest_in_order"
    ),
)  # fmt: skip

STATUSES = (
    reached("SUCCESS", "IBTA 11.6.2", "test_operations.py::test_completions_say_what_happened"),
    reached(
        "LOC_LEN_ERR", "IBTA 11.6.2, 9.9.3",
        REFUSALS + "a_message_longer_than_its_receive_is_refused_and_ends_it_with_loc_len_err",
        UD + "a_datagram_above_the_ports_mtu_ends_the_send_queue_in_sqe",
    ),
    reached(
        "LOC_QP_OP_ERR", "IBTA 11.6.2, 10.6.7.2",
        "test_windows.py::test_a_local_operation_that_fails_waits_for_what_was_posted_before_it",
    ),
    never("LOC_EEC_OP_ERR", "IBTA 11.6.2", RD),
    reached(
        "LOC_PROT_ERR", "IBTA 11.6.2, 9.9.2.2",
        "test_memory.py::test_local_memory_that_cannot_be_used_ends_its_request_in_its_turn",
        REFUSALS + "a_receive_into_memory_that_is_not_there_is_a_remote_operational_error",
        UC + "a_local_error_stops_the_send_queue_in_sqe_and_receives_go_on",
        UD + "wrong_local_memory_ends_the_send_queue_in_sqe_and_receives_go_on",
    ),
    reached(
        "WR_FLUSH_ERR", "IBTA 11.6.2, 10.3.1.7",
        "test_completions.py::test_the_flush_keeps_the_order_of_each_queue_and_completes_unsignaled_work_too",
        UC + "entering_err_flushes_both_queues",
    ),
    reached(
        "MW_BIND_ERR", "IBTA 11.6.2, 10.6.7.2", "test_windows.py::test_a_bind_that_must_not_be_ends_with_a_bind_error"
    ),
    reached(
        "BAD_RESP_ERR", "IBTA 11.6.2, 9.9.2.4.2",
        RULES + "every_response_to_whatever_is_out_does_what_the_reviewed_table_says",
        "test_read_responses.py::test_a_read_response_that_does_not_acknowledge_is_a_bad_response",
    ),
    never(
        "LOC_ACCESS_ERR", "IBTA 11.6.2",
        "of a WRITE with immediate whose memory is refused: it is refused before it takes a receive, as in Linux rxe,"
        " so there is nothing to complete; QP_ACCESS_ERR tells the responder",
    ),
    reached(
        "REM_INV_REQ_ERR", "IBTA 11.6.2, 9.7.5.1.1",
        RECOVERY + "a_nak_ends_its_request_and_flushes_the_rest_in_order",
        REFUSALS + "what_a_receive_ended_with_is_forgotten_by_a_reset",
        UC + "an_unfinished_message_from_a_shared_queue_ends_its_receive_in_error",
    ),
    reached(
        "REM_ACCESS_ERR", "IBTA 11.6.2, 9.7.5.1.1",
        RECOVERY + "a_nak_ends_its_request_and_flushes_the_rest_in_order",
        XRC + "an_initiators_fence_and_statuses_are_those_of_rc",
    ),
    reached(
        "REM_OP_ERR", "IBTA 11.6.2, 9.7.5.1.1", RECOVERY + "a_nak_ends_its_request_and_flushes_the_rest_in_order"
    ),
    reached(
        "RETRY_EXC_ERR", "IBTA 11.6.2, 9.9.2.1.2",
        RECOVERY + "silence_is_answered_with_retries_and_then_with_retry_exceeded",
        RECOVERY + "sequence_naks_use_up_the_retries_when_nothing_gets_through",
    ),
    reached("RNR_RETRY_EXC_ERR", "IBTA 11.6.2, 9.7.5.2.8", RECOVERY + "rnr_naks_use_up_their_own_retries"),
    never("LOC_RDD_VIOL_ERR", "IBTA 11.6.2", RD),
    never("REM_INV_RD_REQ_ERR", "IBTA 11.6.2", RD),
    never("REM_ABORT_ERR", "IBTA 11.6.2", RD),
    never("INV_EECN_ERR", "IBTA 11.6.2", RD),
    never("INV_EEC_STATE_ERR", "IBTA 11.6.2", RD),
    never(
        "FATAL_ERR", "libibverbs",
        "of a device that broke: ours says so with DEVICE_FATAL and completes what was out with WR_FLUSH_ERR",
    ),
    never("RESP_TIMEOUT_ERR", "libibverbs", "of a device that has timers for responses besides those for retries"),
    never("GENERAL_ERR", "libibverbs", "of what has no status of its own; everything here has one"),
    never("TM_ERR", "libibverbs", "no tag matching"),
    never("TM_RNDV_INCOMPLETE", "libibverbs", "no tag matching"),
)  # fmt: skip

ASYNC_EVENTS = (
    reached(
        "CQ_ERR", "IBTA 11.6.3.1",
        "test_completions.py::test_one_completion_too_many_breaks_the_queue_and_every_queue_pair_on_it",
    ),
    reached("QP_FATAL", "IBTA 11.6.3.2", EVENTS + "a_queue_pair_that_can_no_longer_report_gets_qp_fatal"),
    reached("QP_REQ_ERR", "IBTA 11.6.3.2", REFUSALS + "wrong_sequences_and_lengths_are_invalid_requests"),
    reached(
        "QP_ACCESS_ERR", "IBTA 11.6.3.2", REFUSALS + "ranges_and_keys_that_are_not_there_are_remote_access_errors"
    ),
    reached("COMM_EST", "IBTA 11.6.3.1", "test_draining.py::test_the_first_packet_in_rtr_raises_comm_est_once"),
    reached(
        "SQ_DRAINED", "IBTA 11.6.3.1",
        "test_draining.py::test_an_empty_queue_is_drained_at_once_and_only_who_asks_is_told",
    ),
    never("PATH_MIG", "IBTA 11.6.3.1, 17.2.8", "no path migration: there is one port"),
    never("PATH_MIG_ERR", "IBTA 11.6.3.2, 17.2.8", "no path migration: there is one port"),
    reached("DEVICE_FATAL", "IBTA 11.6.3.3", EVENTS + "a_failed_device_flushes_everything_and_makes_nothing_more"),
    reached("PORT_ACTIVE", "IBTA 11.6.3.3", EVENTS + "an_unplugged_port_stops_packets_and_keeps_queue_pairs"),
    reached("PORT_ERR", "IBTA 11.6.3.3", EVENTS + "an_unplugged_port_stops_packets_and_keeps_queue_pairs"),
    never("LID_CHANGE", "libibverbs", "no LIDs on Ethernet"),
    never("PKEY_CHANGE", "libibverbs", "the P_Key table is fixed, as on Linux rxe"),
    never("SM_CHANGE", "libibverbs", NO_SM),
    reached("SRQ_ERR", "IBTA 10.2.9.4, 11.6.3.2", SRQ + "a_queue_that_fails_takes_its_queue_pairs_along"),
    reached(
        "SRQ_LIMIT_REACHED", "IBTA 11.6.3.1",
        SRQ + "the_limit_event_comes_once_when_fewer_are_left_and_again_after_arming",
    ),
    reached(
        "QP_LAST_WQE_REACHED", "IBTA 10.3.1.7, 11.6.3.5",
        SRQ + "a_queue_pair_that_ends_leaves_the_receives_and_says_that_it_took_the_last",
    ),
    never("CLIENT_REREGISTER", "libibverbs", NO_SM),
    reached("GID_CHANGE", "libibverbs", EVENTS + "a_changed_gid_is_told_once"),
    never("WQ_FATAL", "libibverbs", "no work queues apart from queue pairs"),
    never("DEVICE_SPEED_CHANGE", "libibverbs", "no speed of its own"),
)  # fmt: skip

TABLES = (
    reached(
        "states x events, all types", "IBTA 10.3.1, 11.2.5.2",
        "test_attributes.py::test_states_and_events_are_the_reviewed_table",
        "test_state_outcomes.py::test_what_becomes_of_everything_in_every_state_is_the_reviewed_table",
        "test_attributes.py::test_every_transition_names_what_is_missing_and_what_it_does_not_take",
    ),
    reached(
        "RC responder: place in a message x PSN x opcode", "IBTA 9.7.4.1",
        RULES + "every_request_in_every_place_is_answered_as_the_reviewed_table_says",
    ),
    reached(
        "XRC target: place in a message x PSN x opcode", "IBTA A14, 9.7.4.1",
        RULES + "every_request_in_every_place_is_answered_as_the_reviewed_table_says",
        XRC + "a_message_stays_with_the_queue_that_it_began_with",
    ),
    reached(
        "RC requester: what is out x response", "IBTA 9.7.5.1, 9.9.2.4.2",
        RULES + "every_response_to_whatever_is_out_does_what_the_reviewed_table_says",
    ),
    reached(
        "UC responder: place in a message x PSN x opcode", "IBTA 9.8.2.2",
        UC + "every_opcode_in_every_state_does_what_the_reviewed_table_says",
        UC + "opcodes_that_uc_does_not_have_are_counted_and_dropped",
    ),
    reached(
        "UD responder: state x opcode", "IBTA 10.3.1, 9.8.3",
        "unreliable/test_datagram_packets.py::test_both_opcodes_are_received_from_rtr_on_and_others_never",
        "unreliable/test_datagram_packets.py::test_operations_that_datagrams_do_not_have_are_counted",
    ),
    reached(
        "opcodes of another transport", "IBTA 9.6.1.1.2",
        "test_bad_input.py::test_what_is_wrong_with_a_packet_names_its_counter",
        XRC + "what_is_not_for_a_target_is_counted_and_dropped",
        XRC + "a_request_to_an_initiator_is_counted_and_dropped",
    ),
)  # fmt: skip

SECTIONS = {
    "AETH syndromes": SYNDROMES,
    "Completion statuses": STATUSES,
    "Asynchronous events": ASYNC_EVENTS,
    "Tables": TABLES,
}
"""Statuses and events stand in the order of their numbers, from 0."""

HEAD = """# What the verbs can say, and which test shows it

Printed by `python -m tests.stacks.rdma.proofs.catalogue`; a test holds it against the tests that exist. Paths are
relative to `tests/stacks/rdma`. Each table of the last section is a text file beside its test.
"""


def rendered() -> str:
    """The whole document."""
    parts = [HEAD]
    for title, entries in SECTIONS.items():
        is_numbered = title in ("Completion statuses", "Asynchronous events")
        parts.append(f"\n## {title}\n\n| {'no | ' * is_numbered}what | source | reached by, or why not |\n")
        parts.append(f"|{'---|' * (3 + is_numbered)}\n")
        for number, entry in enumerate(entries):
            where = "<br>".join(f"`{test}`" for test in entry.tests) or f"never: {entry.reason}"
            lead = f"{number} | " if is_numbered else ""
            parts.append(f"| {lead}{entry.name} | {entry.source} | {where} |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(rendered())
