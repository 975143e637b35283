"""Packets, datagrams and recovery: the events that come by the thousand, put together by hand."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.levels import LEVEL_ZERO_RTT, SPACE_APPLICATION
from stacks.quic.qlog.frames import frames_text
from stacks.quic.qlog.log import Log, SinkFactory
from stacks.quic.qlog.words import (
    ECN_WORDS,
    PACKET_TYPES,
    SPACE_PACKET_TYPES,
    SPACES,
    dumps,
    milliseconds,
    version_word,
)


class PacketEvents:
    """This part of `QlogTracer`; what the calls mean is told in `stacks.quic.tracing`."""

    __slots__ = (
        "_congestion", "_ecn", "_ecn_in", "_ecn_out", "_exponents", "_last_early", "_log", "_metrics",
    )  # fmt: skip

    def __init__(self, sinks: SinkFactory, *, vantage_point: str, wall_clock: str | None) -> None:
        self._log = Log(sinks, vantage_point=vantage_point, wall_clock=wall_clock)
        self._exponents = [DEFAULT_EXPONENT, DEFAULT_EXPONENT]
        self._metrics: dict[str, int] = {}
        self._congestion = self._ecn = ""
        self._ecn_out = self._ecn_in = -1
        self._last_early = -1

    def packet_sent(
        self,
        now: int,
        level: int,
        number: int,
        size_bytes: int,
        payload: memoryview,
        *,
        is_mtu_probe: bool = False,
        tuple_id: int = 0,
    ) -> None:
        if level == LEVEL_ZERO_RTT:
            self._last_early = number
        probe = ',"is_mtu_probe_packet":true' if is_mtu_probe else ""
        self._log.event(
            now,
            "packet_sent",
            f'{{"header":{{"packet_type":"{PACKET_TYPES[level]}","packet_number":{number}}},'
            f'"raw":{{"length":{size_bytes},"payload_length":{len(payload)}}},'
            f'"frames":{frames_text(payload, self._exponents[LOCAL])}{probe}}}',
            tuple_id,
        )

    def packet_received(
        self, now: int, level: int, number: int, size_bytes: int, payload: memoryview, *, tuple_id: int = 0
    ) -> None:
        self._log.event(
            now,
            "packet_received",
            f'{{"header":{{"packet_type":"{PACKET_TYPES[level]}","packet_number":{number}}},'
            f'"raw":{{"length":{size_bytes},"payload_length":{len(payload)}}},'
            f'"frames":{frames_text(payload, self._exponents[REMOTE])}}}',
            tuple_id,
        )

    def packet_dropped(self, now: int, level: int | None, size_bytes: int, trigger: str) -> None:
        word = "unknown" if level is None else PACKET_TYPES[level]
        data = {"header": {"packet_type": word}, "raw": {"length": size_bytes}, "trigger": trigger}
        self._log.put(now, "packet_dropped", data)

    def packet_buffered(self, now: int, level: int, size_bytes: int) -> None:
        data = {
            "header": {"packet_type": PACKET_TYPES[level]},
            "raw": {"length": size_bytes},
            "trigger": "keys_unavailable",
        }
        self._log.put(now, "packet_buffered", data)

    def retry_received(self, now: int, size_bytes: int, *, source_cid: bytes, token: bytes) -> None:
        header = {
            "packet_type": "retry",
            "scid": source_cid.hex(),
            "token": {"type": "retry", "raw": {"length": len(token)}},
        }
        self._log.put(now, "packet_received", {"header": header, "raw": {"length": size_bytes}})

    def version_negotiation_received(self, now: int, size_bytes: int, versions: Sequence[int]) -> None:
        data: dict[str, object] = {"header": {"packet_type": "version_negotiation"}, "raw": {"length": size_bytes}}
        if versions:
            data["supported_versions"] = [version_word(each) for each in versions]
        self._log.put(now, "packet_received", data)

    def packets_acked(self, now: int, space: int, numbers: Sequence[int]) -> None:
        if numbers:
            listed = ",".join(map(str, numbers))
            data = f'{{"packet_number_space":"{SPACES[space]}","packet_numbers":[{listed}]}}'
            self._log.event(now, "packets_acked", data)

    def packet_lost(self, now: int, space: int, number: int, trigger: str, *, is_mtu_probe: bool = False) -> None:
        # A client that has 1-RTT keys sends no 0-RTT packets any more (RFC 9001 5.6), and both count on.
        is_early = space == SPACE_APPLICATION and number <= self._last_early
        word = PACKET_TYPES[LEVEL_ZERO_RTT] if is_early else SPACE_PACKET_TYPES[space]
        probe = ',"is_mtu_probe_packet":true' if is_mtu_probe else ""
        reason = f',"trigger":"{trigger}"' if trigger else ""
        data = f'{{"header":{{"packet_type":"{word}","packet_number":{number}}}{probe}{reason}}}'
        self._log.event(now, "packet_lost", data)

    def datagrams_sent(self, now: int, total_bytes: int, segment_bytes: int, ecn: int) -> None:
        self._datagrams(now, "udp_datagrams_sent", total_bytes, segment_bytes, ecn if ecn != self._ecn_out else -1)
        self._ecn_out = ecn

    def datagrams_received(self, now: int, total_bytes: int, segment_bytes: int, ecn: int) -> None:
        changed = ecn if ecn != self._ecn_in else -1
        self._datagrams(now, "udp_datagrams_received", total_bytes, segment_bytes, changed)
        self._ecn_in = ecn

    def recovery_parameters_set(
        self,
        now: int,
        *,
        datagram_bytes: int,
        initial_window_bytes: int,
        minimum_window_bytes: int,
        initial_rtt_ns: int,
    ) -> None:
        data = (
            f'{{"reordering_threshold":3,"time_threshold":1.125,"timer_granularity":1,'
            f'"initial_rtt":{milliseconds(initial_rtt_ns)},"max_datagram_size":{datagram_bytes},'
            f'"initial_congestion_window":{initial_window_bytes},"minimum_congestion_window":{minimum_window_bytes},'
            f'"persistent_congestion_threshold":3}}'
        )
        self._log.event(now, "recovery_parameters_set", data)

    def recovery_metrics_updated(
        self,
        now: int,
        *,
        min_rtt_ns: int | None = None,
        smoothed_rtt_ns: int | None = None,
        latest_rtt_ns: int | None = None,
        rtt_variance_ns: int | None = None,
        pto_count: int | None = None,
        window_bytes: int | None = None,
        inflight_bytes: int | None = None,
        ssthresh_bytes: int | None = None,
        rate_bps: int | None = None,
    ) -> None:
        metrics, parts = self._metrics, []
        for name, value, is_time in (
            ("min_rtt", min_rtt_ns, True),
            ("smoothed_rtt", smoothed_rtt_ns, True),
            ("latest_rtt", latest_rtt_ns, True),
            ("rtt_variance", rtt_variance_ns, True),
            ("pto_count", pto_count, False),
            ("congestion_window", window_bytes, False),
            ("bytes_in_flight", inflight_bytes, False),
            ("ssthresh", ssthresh_bytes, False),
            ("pacing_rate", rate_bps, False),
        ):
            if value is not None and metrics.get(name) != value:
                metrics[name] = value
                parts.append(f'"{name}":{milliseconds(value) if is_time else value}')
        if parts:
            self._log.event(now, "recovery_metrics_updated", f"{{{','.join(parts)}}}")

    def congestion_state_updated(self, now: int, new: str, trigger: str = "") -> None:
        if new != self._congestion:
            self._log.change(now, "congestion_state_updated", self._congestion, new, trigger)
            self._congestion = new

    def ecn_state_updated(self, now: int, new: str) -> None:
        if new != self._ecn:
            self._log.change(now, "ecn_state_updated", self._ecn, new)
            self._ecn = new

    def timer_updated(self, now: int, timer: str, event: str, *, delta_ns: int = 0, space: int | None = None) -> None:
        where = "" if space is None else f',"packet_number_space":"{SPACES[space]}"'
        delta = f',"delta":{milliseconds(delta_ns)}' if event == "set" else ""
        self._log.event(now, "timer_updated", f'{{"timer_type":"{timer}"{where},"event_type":"{event}"{delta}}}')

    def _datagrams(self, now: int, name: str, total_bytes: int, segment_bytes: int, ecn: int) -> None:
        whole, rest = divmod(total_bytes, segment_bytes)
        count = whole + (rest > 0)
        sizes = [f'{{"length":{segment_bytes}}}'] * whole
        if rest:
            sizes.append(f'{{"length":{rest}}}')
        marks = "" if ecn < 0 else f',"ecn":[{",".join([dumps(ECN_WORDS[ecn])] * count)}]'
        self._log.event(now, name, f'{{"count":{count},"raw":[{",".join(sizes)}]{marks}}}')


REMOTE, LOCAL = 0, 1
"""Whose ACK delay exponent."""
DEFAULT_EXPONENT = 3
