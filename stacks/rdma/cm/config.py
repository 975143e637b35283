"""How patient a connection manager is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CmConfig:
    """Times and limits; made for machines that are near. Linux waits 4.3 s and retries 15 times.

    first_retry_ns: how long to wait for an answer before sending again; doubles with each try up to `longest_retry_ns`.
    max_retries: tries after the first, 0 to 15; with the defaults a silent peer is unreachable after 4.5 s.
    response_timeout: what the peer is told of our own answering time, 4.096 us * 2^n (20 in Linux).
    service_timeout: the delay that our MRA announces, 4.096 us * 2^n.
    time_wait_ns: how long a connection stays in TIMEWAIT.
    answer_memory_ns: how long the answer to a SIDR_REQ is kept for copies of it.
    longest_service_timeout_ns: how long a peer's MRA is believed at most; Linux announces over a minute.
    target_ack_delay: what the peer is told of our time to acknowledge, 4.096 us * 2^n (15 on Linux rxe).
    min_rnr_timer: 5-bit field that `RdmaCm` gives its queue pairs; 12 is 0.64 ms (Linux: 0, which is 655 ms).
    takes_alternate_paths: whether an owner answers what peers propose (`AlternatePaths`).
    max_path_mtu: bytes; a REQ for more is rejected with reason 26.
    """

    first_retry_ns: int = 100_000_000
    longest_retry_ns: int = 1_000_000_000
    max_retries: int = 6
    response_timeout: int = 17
    service_timeout: int = 20
    time_wait_ns: int = 250_000_000
    answer_memory_ns: int = 5_000_000_000
    longest_service_timeout_ns: int = 30_000_000_000
    target_ack_delay: int = 15
    min_rnr_timer: int = 12
    max_path_mtu: int = 4096
    takes_alternate_paths: bool = False

    @staticmethod
    def as_linux(*, max_path_mtu: int = 4096) -> CmConfig:
        """As patient as Linux 6.1's cma: 4.3 s a try, 15 retries, and RNR timer 0."""
        return CmConfig(
            first_retry_ns=cm_time_ns(20),
            longest_retry_ns=cm_time_ns(20),
            max_retries=15,
            response_timeout=20,
            service_timeout=24,
            time_wait_ns=cm_time_ns(19) * 2,
            longest_service_timeout_ns=cm_time_ns(24),
            answer_memory_ns=cm_time_ns(20) * 16,
            min_rnr_timer=0,
            max_path_mtu=max_path_mtu,
        )

    def retry_ns(self, attempt: int) -> int:
        """How long to wait after sending for the `attempt`-th time, counted from 0."""
        return min(self.first_retry_ns << attempt, self.longest_retry_ns)


def cm_time_ns(exponent: int) -> int:
    """A 5-bit CM time on the wire in nanoseconds: 4.096 us * 2^exponent (IBTA 12.7.20)."""
    return 4096 << exponent
