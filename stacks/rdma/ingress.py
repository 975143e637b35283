"""The way in: bursts of datagrams are cut, checked and handed to their queue pairs (IBTA 9.6).

A burst of equal packets whose ICRCs are all right is recognised by one CRC call; its headers are read by one unpack.
Whatever that does not fit (a bad packet among good ones, congestion bits, a shorter last packet, several queue pairs)
is looked at packet by packet, by the same rules. Nothing here raises for what a peer sent: it is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.rdma.counters import RdmaCounters
from stacks.rdma.enums import QpState
from stacks.rdma.groups import Groups
from stacks.rdma.opcodes import CNP, DATAGRAM
from stacks.rdma.runs import Run
from stacks.rdma.slices import Slices
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from stacks.rdma.unreliable.datagram_responder import Route
from transports.datagram import ECN_CE, Address, Burst
from wire.roce import Bth
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES, FlowIcrc

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class Ingress:
    """Checks what arrives at one device.

    address: the device's. qps: its queue pairs by number. on_management: called with (source host, BTH, view of the
    rest without ICRC, now) for packets to QP 1.
    """

    def __init__(
        self,
        address: Address,
        qps: dict[int, Qp],
        *,
        counters: RdmaCounters,
        shortcuts: bool,
        on_management: Callable[[str, Bth, memoryview, int], None],
        groups: Groups,
    ) -> None:
        self._address = address
        self._qps = qps
        self._counters = counters
        self._shortcuts = shortcuts
        self._on_management = on_management
        self._groups = groups.members
        self._flows: dict[Address, FlowIcrc] = {}
        self._slices = Slices()

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Take one burst."""
        if self._groups and burst.destination[0] in self._groups:
            self._handle_multicast(burst, self._groups[burst.destination[0]])
            return
        view, size = burst.view, burst.segment_bytes
        flow = self._flows.get(burst.source)
        if flow is None:
            flow = self._new_flow(burst)
            if flow is None:
                return
        first_number = burst.identification or 0
        is_marked = burst.ecn == ECN_CE
        done = self._handle_runs(flow, burst, first_number, now) if self._shortcuts and not is_marked else 0
        for index in range(done, -(-len(view) // size)):
            packet = view[index * size : (index + 1) * size]
            number = None if burst.identification is None else first_number + index
            self._handle_packet(flow, packet, burst.source[0], now, number=number, is_marked=is_marked)

    def _handle_runs(self, flow: FlowIcrc, burst: Burst, number: int, now: int) -> int:
        """The short way for equal good packets, and for a shorter one behind them; returns how many it took."""
        view, size, host = burst.view, burst.segment_bytes, burst.source[0]
        if size < _SMALLEST or size % 4:
            return 0
        count, rest = divmod(len(view), size)
        run = view[: count * size] if rest else view
        if not count or not flow.is_valid_run(run, size, count, number):
            return 0
        self._slices.use(burst.staging)
        done = self._handle_checked(run, size, count, host, now)
        if done < count or rest < _SMALLEST or rest % 4:
            return done
        last = view[count * size :]
        if flow.is_valid_run(last, rest, 1, number + count):
            done += self._handle_checked(last, rest, 1, host, now)
        return done

    def _handle_checked(self, view: memoryview, size: int, count: int, host: str, now: int) -> int:
        """Equal packets with good ICRCs; returns how many of them were taken, from the first on."""
        words = _FIRST_WORDS(view) if count == 1 else Bth.words(count, size)(view)
        qp = self._qps.get(words[1] & 0xFFFFFF)
        if qp is None or qp.remote_host != host:
            return self._handle_datagrams(qp, Run(words, view[: count * size], size, count, self._slices), host)
        if count == 1:
            taken = qp.handle_lone(words, view[:size], now)
        elif words[1::3] == (words[1],) * count:
            taken = qp.handle_run(Run(words, view, size, count, self._slices), now)
        else:
            return 0
        self._counters.rcvd_pkts += taken
        return taken

    def _handle_datagrams(self, qp: Qp | None, run: Run, host: str) -> int:
        if not isinstance(qp, DatagramQp) or run.words[1::3] != (run.words[1],) * run.count:
            return 0
        taken = qp.handle_datagrams(run, host)
        self._counters.rcvd_pkts += taken
        return taken

    def _handle_multicast(self, burst: Burst, members: list[DatagramQp]) -> None:
        """A burst to a group: every queue pair that is attached gets a copy of each packet (IBTA 10.5.2)."""
        counters, size, source = self._counters, burst.segment_bytes, burst.source
        route = Route(source[0], burst.destination[0])
        try:
            flow = FlowIcrc(source, (route.destination, self._address[1]))
        except ValueError:
            counters.rcvd_source_err += 1
            return
        for index, start in enumerate(range(0, len(burst.view), size)):
            packet = burst.view[start : start + size]
            number = None if burst.identification is None else burst.identification + index
            bth = self._checked(flow, packet, number=number)
            if bth is None:
                continue
            if bth.dest_qp != MULTICAST_QP or bth.opcode >> 5 != DATAGRAM:
                counters.rcvd_qpn_err += 1
                continue
            counters.rcvd_pkts += 1
            body = packet[BTH_BYTES : len(packet) - ICRC_BYTES - bth.pad_count]
            for qp in list(members):
                qp.handle_datagram(bth.opcode << 24 | bth.solicited << 23, body, route)

    def _handle_packet(
        self, flow: FlowIcrc, packet: memoryview, host: str, now: int, *, number: int | None, is_marked: bool
    ) -> None:
        """One packet after the other, each checked completely."""
        bth = self._checked(flow, packet, number=number)
        if bth is None:
            return
        body_end = len(packet) - ICRC_BYTES - bth.pad_count
        if bth.dest_qp == MANAGEMENT_QP:
            self._counters.rcvd_pkts += 1
            self._on_management(host, bth, packet[BTH_BYTES:body_end], now)
        else:
            self._deliver(bth, packet, host, now, body_end=body_end, is_marked=is_marked)

    def _checked(self, flow: FlowIcrc, packet: memoryview, *, number: int | None) -> Bth | None:
        """The complete check of one packet, in the order of IBTA 9.6.1: its BTH, or None when something is wrong."""
        counters = self._counters
        if len(packet) < _SMALLEST or len(packet) % 4:
            counters.rcvd_truncated_pkts += 1
            return None
        if not _is_icrc_right(flow, packet, number):
            counters.rcvd_icrc_err += 1
            return None
        bth = Bth.decode(packet)
        if bth.tver:
            counters.rcvd_version_err += 1
        elif bth.pkey & 0x7FFF != 0x7FFF:
            counters.rcvd_pkey_err += 1
        elif len(packet) - ICRC_BYTES - bth.pad_count < BTH_BYTES:
            counters.rcvd_truncated_pkts += 1
        else:
            return bth
        return None

    def _deliver(self, bth: Bth, packet: memoryview, host: str, now: int, *, body_end: int, is_marked: bool) -> None:
        qp = self._qps.get(bth.dest_qp)
        if qp is None or qp.state in _DEAF:
            self._counters.rcvd_qpn_err += 1
        elif isinstance(qp, DatagramQp):
            self._deliver_datagram(qp, bth, packet[BTH_BYTES:body_end], host)
        elif qp.remote_host != host:
            self._counters.rcvd_source_err += 1
        elif bth.opcode == CNP:
            self._counters.rcvd_pkts += 1
            self._notify(qp, now)
        elif bth.opcode >> 5 != qp.transport:
            self._counters.rcvd_opcode_err += 1
        else:
            self._counters.rcvd_pkts += 1
            word0 = bth.opcode << 24 | bth.solicited << 23
            qp.handle_packet(word0, bth.ack_req << 31 | bth.psn, packet[BTH_BYTES:body_end], now)
            if is_marked:
                self._counters.np_ecn_marked_roce_packets += 1
                qp.handle_mark(bth.opcode, now)

    def _deliver_datagram(self, qp: DatagramQp, bth: Bth, body: memoryview, host: str) -> None:
        if bth.opcode >> 5 != DATAGRAM:
            self._counters.rcvd_opcode_err += 1
            return
        self._counters.rcvd_pkts += 1
        qp.handle_datagram(bth.opcode << 24 | bth.solicited << 23, body, Route(host, self._address[0]))

    def _notify(self, qp: Qp, now: int) -> None:
        """A CNP: never answered by another, whatever its own mark says (A17.9.3)."""
        if qp.handle_notification(now):
            self._counters.rp_cnp_handled += 1
        else:
            self._counters.rp_cnp_ignored += 1

    def _new_flow(self, burst: Burst) -> FlowIcrc | None:
        """The constants of a flow, kept if a good packet came in it: junk under made-up sources leaves nothing."""
        try:
            flow = FlowIcrc(burst.source, self._address)
        except ValueError:
            self._counters.rcvd_source_err += 1
            return None
        packet = burst.view[: burst.segment_bytes]
        if len(packet) >= _SMALLEST and _is_icrc_right(flow, packet, burst.identification):
            if len(self._flows) >= MAX_FLOWS:
                del self._flows[next(iter(self._flows))]
            self._flows[burst.source] = flow
        return flow


def _is_icrc_right(flow: FlowIcrc, packet: memoryview, number: int | None) -> bool:
    """All 32 bits where the Identification is known or absent, 16 of them where it must be guessed."""
    if number is None:
        return flow.identification_of(packet) is not None
    return flow.icrc(packet, number & 0xFFFF) == int.from_bytes(packet[-ICRC_BYTES:], "little")


MANAGEMENT_QP = 1
MULTICAST_QP = 0xFFFFFF
MAX_FLOWS = 1024
"""Peers whose ICRC constants are kept, the latest; a flood of made-up source ports only costs time."""
_FIRST_WORDS = Bth.words(1, Bth.SIZE)
_SMALLEST = BTH_BYTES + ICRC_BYTES
_DEAF = frozenset({QpState.RESET, QpState.INIT, QpState.ERR})
