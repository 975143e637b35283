"""Counters, the trace and errors: what a core tells about itself."""

from dataclasses import dataclass

import pytest

from stacks.runtime import Counters, LocalError, RemoteError, StackError, Trace, TraceLog


@dataclass(slots=True, eq=False)
class PortCounters(Counters):
    sent_pkts: int = 0
    rcvd_pkts: int = 0


def test_counters_start_at_zero_and_snapshot_in_declaration_order() -> None:
    counters = PortCounters()
    counters.rcvd_pkts += 2
    assert PortCounters.names() == ("sent_pkts", "rcvd_pkts")
    assert list(counters.snapshot().items()) == [("sent_pkts", 0), ("rcvd_pkts", 2)]


def test_a_misspelt_counter_is_an_error() -> None:
    with pytest.raises(AttributeError):
        PortCounters().sent_packets += 1  # type: ignore[attr-defined]


def test_the_trace_log_keeps_the_latest_records_as_readable_lines() -> None:
    log = TraceLog(capacity=2)
    trace: Trace = log
    trace(1, "forgotten")
    trace(1_500_000_000, "packet_dropped", qpn=17, reason="icrc")
    trace(2_000_000_000, "private_data", data=b"\x01\x02")
    assert len(log) == 2
    assert [str(record) for record in log] == [
        "1.500000000 packet_dropped qpn=17 reason=icrc",
        "2.000000000 private_data data=0102",
    ]


def test_both_errors_have_one_base_and_a_remote_error_carries_its_answer() -> None:
    error = RemoteError(8, "no listener for service 0x1061144")
    assert error.code == 8
    assert isinstance(error, StackError)
    assert issubclass(LocalError, StackError)
    assert str(error) == "no listener for service 0x1061144"
