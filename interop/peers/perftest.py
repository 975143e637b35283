"""perftest: ib_send, ib_write, ib_read and ib_atomic, each as _bw and _lat. The option names the program.

Their buffers are random bytes from a seed that is found again, except in ib_write_lat, so that ours checks what it is
sent, what is written to it, and what it reads. Fetch-and-add adds 1: ours checks the sums, or that values follow.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from interop.peers.glibc_random import find_seed, random_bytes
from interop.peers.hand import connect_by_hand
from interop.peers.inbox import Inbox
from interop.peers.link import PATIENCE_NS, Link, dial, take_call
from interop.peers.perftest_exchange import CYCLE_BYTES, LINE_BYTES, Exchange, Keys, own_keys
from interop.peers.pingpong import USUAL_PATH_MTU
from interop.peers.terms import PeerError, Terms, check_data, pattern
from stacks.rdma import Access, QpType, SendWr, Sge, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint

READS = 16
WINDOW = 32
EVERYTHING = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Be either side of the program that the terms name."""
    [name] = terms.options & set(TESTS)
    with take_call(terms) if terms.is_server else dial(terms) as stream:
        exchange = Exchange(endpoint, stream, is_server=terms.is_server)
        exchange.agree(terms.path_mtu or USUAL_PATH_MTU)
        test = _Test(endpoint, terms, exchange)
        is_latency = name.endswith("_lat")
        # ib_send_* and all of _lat meet once more than the others.
        test.meet(barriers=3 if is_latency or name == "send_bw" else 2)
        # A server of WRITE, READ or atomics takes no part; what was done to its memory is looked at afterwards.
        is_passive = terms.is_server and name in PASSIVE
        praise = "" if is_passive else TESTS[name](test)
        if name in REPORTING:
            exchange.keys(test.own)
            exchange.report(terms.size, terms.count)
        if name != "write_lat":
            exchange.close(test.own)
    return TESTS[name](test) if is_passive else praise


class _Test:
    """What each test has: the queue pair, memory of ours that they may use, and what they told about theirs."""

    def __init__(self, endpoint: Endpoint, terms: Terms, exchange: Exchange) -> None:
        self.endpoint = endpoint
        self.terms = terms
        self.exchange = exchange
        self._random: bytes | None = None
        kind = QpType.UC if "uc" in self.terms.options else QpType.RC
        self.link = Link(self.endpoint, self.endpoint.create_qp(qp_type=kind))
        self.memory = bytearray(max(self.terms.size, CYCLE_BYTES))
        self.mr = self.endpoint.pd.reg_mr(self.memory, EVERYTHING)
        self.inbox = Inbox(self.endpoint, slots=min(self.terms.count, 128), size=self.terms.size)
        self.inbox.prepare(self.link.qp)
        number = self.link.qp.number
        self.own = own_keys(number, self.terms.own, rkey=self.mr.rkey, memory=self.mr.address, reads=READS)

    def meet(self, *, barriers: int) -> None:
        """Learn their keys, connect, and wait for each other so many times."""
        self.theirs: Keys = self.exchange.keys(self.own)
        path_mtu = self.terms.path_mtu or USUAL_PATH_MTU
        asks = max(1, self.theirs.reads)
        connect_by_hand(self.link.qp, self.own.place, self.theirs.place, path_mtu, serves=READS, asks=asks)
        for _ in range(barriers):
            self.exchange.keys(self.own)

    def post(self, opcode: WrOpcode, sge: Sge, *, add: int = 0) -> None:
        """Post one request on their memory."""
        remote = self.theirs.address
        self.link.send(SendWr(0, opcode, [sge], remote_address=remote, rkey=self.theirs.rkey, compare_add=add))

    def check_random(self, found: bytes, *, offset: int = 0) -> None:
        """PeerError unless these are the bytes of their buffer there."""
        if self._random is None:
            now = int(time.time())
            candidates = sorted(range(now - SEED_SECONDS, now + SEED_SECONDS), key=lambda at: abs(now - at))
            self._random = random_bytes(find_seed(found, offset, candidates), 2 * len(self.memory))
        check_data(f"their buffer at {offset}", found, self._random[offset : offset + len(found)])


def _send_bw(test: _Test) -> str:
    if not test.terms.is_server:
        return _stream(test, WrOpcode.SEND, WcOpcode.SEND)
    for offset in _offsets(test.terms):
        test.check_random(test.inbox.take(test.link), offset=offset)
    return f"{test.terms.count} messages with the random bytes of their buffer"


def _send_lat(test: _Test) -> str:
    sge = _source(test)
    for _ in range(test.terms.count):
        if test.terms.is_server:
            test.check_random(test.inbox.take(test.link))
        test.post(WrOpcode.SEND, sge)
        test.link.wait(WcOpcode.SEND)
        if not test.terms.is_server:
            test.check_random(test.inbox.take(test.link))
    return f"{test.terms.count} messages to and fro, theirs the random bytes of their buffer"


def _write_bw(test: _Test) -> str:
    if not test.terms.is_server:
        return _stream(test, WrOpcode.RDMA_WRITE, WcOpcode.RDMA_WRITE)
    for offset in _offsets(test.terms):
        test.check_random(bytes(test.memory[offset : offset + test.terms.size]), offset=offset)
    return f"{test.terms.count} WRITEs of the random bytes of their buffer"


def _write_lat(test: _Test) -> str:
    # The server writes first; each waits for the last byte to become the number of the message.
    last = test.terms.size - 1
    source = bytearray(test.terms.size)
    sge = test.endpoint.pd.reg_mr(source).sge()
    for number in range(1, test.terms.count + 1):
        if not test.terms.is_server or number > 1:
            _wait_byte(test, last, number if not test.terms.is_server else number - 1)
        source[last] = number & 0xFF
        test.post(WrOpcode.RDMA_WRITE, sge)
        test.link.wait(WcOpcode.RDMA_WRITE)
    if test.terms.is_server:
        _wait_byte(test, last, test.terms.count)
    check_data("what they wrote", test.memory[:last], bytes(last))
    test.endpoint.wait_until(lambda: False, timeout_ns=PATIENCE_NS // 100)
    return f"{test.terms.count} WRITEs to and fro, seen in memory"


def _wait_byte(test: _Test, at: int, number: int) -> None:
    if not test.endpoint.wait_until(lambda: test.memory[at] == number & 0xFF, timeout_ns=PATIENCE_NS):
        raise PeerError(f"WRITE number {number} does not come")


def _read(test: _Test) -> str:
    if test.terms.is_server:
        return f"{test.terms.count} READs served; theirs looks at no data"
    sge = test.endpoint.pd.reg_mr(sink := bytearray(test.terms.size)).sge()
    for _ in range(test.terms.count):
        sink[:] = bytes(test.terms.size)
        test.post(WrOpcode.RDMA_READ, sge)
        test.link.wait(WcOpcode.RDMA_READ)
        test.check_random(bytes(sink), offset=max(test.terms.size, CYCLE_BYTES))
    return f"{test.terms.count} READs of the random bytes of their buffer"


def _atomic(test: _Test) -> str:
    if test.terms.is_server:
        total = sum(int.from_bytes(test.memory[at : at + 8], "little") for at in range(0, len(test.memory), 8))
        if total != test.terms.count:
            raise PeerError(f"the counters add up to {total}, not {test.terms.count}")
        return f"{total} fetch-and-adds, which add up"
    sge = test.endpoint.pd.reg_mr(before := bytearray(8)).sge()
    found = []
    for _ in range(test.terms.count):
        test.post(WrOpcode.ATOMIC_FETCH_AND_ADD, sge, add=1)
        test.link.wait(WcOpcode.FETCH_ADD)
        found.append(int.from_bytes(before, "little"))
    test.check_random(found[0].to_bytes(8, "little"), offset=CYCLE_BYTES)
    if found != [(found[0] + number) & (2**64 - 1) for number in range(test.terms.count)]:
        raise PeerError(f"values do not follow each other: {found}")
    return f"{test.terms.count} fetch-and-adds, each value one more than the last"


def _stream(test: _Test, opcode: WrOpcode, completion: WcOpcode) -> str:
    sge = _source(test)
    for number in range(test.terms.count):
        test.post(opcode, sge)
        if number >= WINDOW:
            test.link.wait(completion)
    for _ in range(min(WINDOW, test.terms.count)):
        test.link.wait(completion)
    return f"{test.terms.count} {opcode.name} of {test.terms.size} bytes completed"


def _source(test: _Test) -> Sge:
    return test.endpoint.pd.reg_mr(bytearray(pattern(1, test.terms.size))).sge()


def _offsets(terms: Terms) -> list[int]:
    """Where in a buffer the messages of a _bw test lie, in order."""
    step = -(-max(terms.size, LINE_BYTES) // LINE_BYTES) * LINE_BYTES
    places = CYCLE_BYTES // step if terms.size <= CYCLE_BYTES // 2 else 1
    return [number % places * step for number in range(terms.count)]


TESTS: dict[str, Callable[[_Test], str]] = {
    "send_bw": _send_bw,
    "send_lat": _send_lat,
    "write_bw": _write_bw,
    "write_lat": _write_lat,
    "read_bw": _read,
    "read_lat": _read,
    "atomic_bw": _atomic,
    "atomic_lat": _atomic,
}
PASSIVE = frozenset({"write_bw", "read_bw", "read_lat", "atomic_bw", "atomic_lat"})
REPORTING = frozenset({"write_bw", "read_bw", "atomic_bw"})
SEED_SECONDS = 120
