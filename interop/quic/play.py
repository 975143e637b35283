"""One cell: a case, a client, a server and a seed, through a link; then what passed is judged."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interop.outcome import DisagreementError, MissingToolError
from interop.quic.catalogue import QuicCase
from interop.quic.certificates import write_certificates
from interop.quic.criteria.goodput import goodput_kbps
from interop.quic.crosstraffic import beside_tcp
from interop.quic.dissect.trace import Trace, read_trace
from interop.quic.files import compare
from interop.quic.path import Ends, between_namespaces, between_sockets, free_port
from interop.quic.peers import PEERS
from interop.quic.peers.peer import ClientTask, Peer, ServerTask
from interop.quic.processes import run_client, serving


@dataclass(frozen=True, slots=True)
class Cell:
    """A case with a client and a server, by their names."""

    case: QuicCase
    client: str
    server: str

    @property
    def name(self) -> str:
        """As `transfer: ours from aioquic`."""
        return f"{self.case.name}: {self.client} from {self.server}"

    @property
    def alpn(self) -> str:
        """What both speak: the case's, or the first that both have."""
        client, server = PEERS[self.client], PEERS[self.server]
        return self.case.alpn or next(each for each in client.alpns if each in server.alpns)


@dataclass(frozen=True, slots=True)
class Played:
    """seconds: of the client. facts: what was seen. goodput_kbps: of each repetition of a measurement."""

    seconds: float
    facts: str
    goodput_kbps: tuple[float, ...] = ()


def play(cell: Cell, scratch: Path, seed: int = 1) -> Played:
    """Run it in an empty folder. DisagreementError with all that is wrong; MissingToolError when it cannot be run."""
    case, client, server = cell.case, PEERS[cell.client], PEERS[cell.server]
    for peer in (client, server):
        if peer.missing():
            raise MissingToolError(f"{peer.name} is missing: install {peer.missing()}")
    # Text as a seed is the same on every Python.
    names = case.files.make(scratch / "served", random.Random(f"{case.name} {seed}"))
    (scratch / "got").mkdir()
    (scratch / "session").mkdir()
    with _ends(cell, server, scratch, seed) as ends, beside_tcp(ends, wanted=case.has_cross_traffic):
        task = ClientTask(
            wishes=case.wishes,
            address=ends.reached,
            names=names,
            out=scratch / "got",
            alpn=cell.alpn,
            key_log=scratch / "client.keys",
            scratch=scratch / "session",
        )
        began = time.monotonic()
        trouble = run_client(client.client(task), ends.near, scratch / "client.log", case.timeout_s)
        seconds = time.monotonic() - began
    trace = read_trace(scratch / "link.pcapng", (scratch / "client.keys", scratch / "server.keys"))
    facts = _judge(case, trace, scratch, names, trouble)
    for each in ("served", "got", "link.pcapng"):
        _remove(scratch / each)  # what failed is kept, to be looked at
    rates = (goodput_kbps(trace, sum(case.files.sizes)),) if case.is_measurement else ()
    return Played(seconds, facts, rates)


@contextlib.contextmanager
def _ends(cell: Cell, server: Peer, scratch: Path, seed: int) -> Iterator[Ends]:
    """A server that listens, and the link to it."""
    case = cell.case
    capture = scratch / "link.pcapng"
    with contextlib.ExitStack() as stack:
        if case.between_namespaces:
            ends = stack.enter_context(between_namespaces(case, capture, seed))
        else:
            address = case.host, free_port(case.host)
            ends = Ends(address, address)
        certificate, key = write_certificates(scratch, case.certificates)
        task = ServerTask(
            wishes=case.wishes,
            address=ends.server,
            directory=scratch / "served",
            certificate=certificate,
            key=key,
            alpn=cell.alpn,
            key_log=scratch / "server.keys",
            preferred=ends.preferred if case.wishes.wants_preferred else None,
        )
        stack.enter_context(serving(server.server(task), ends.far, ends.server[1], scratch / "server.log"))
        if not case.between_namespaces:
            ends = stack.enter_context(between_sockets(case, ends.server, capture, seed))
        yield ends


def _judge(case: QuicCase, trace: Trace, scratch: Path, names: list[str], trouble: str) -> str:
    troubles, facts = [trouble] * bool(trouble), []
    try:
        compare(scratch / "served", scratch / "got", names)
    except DisagreementError as error:
        troubles.append(str(error))
    for criterion in case.criteria:
        try:
            facts.append(criterion(trace))
        except DisagreementError as error:
            troubles.append(str(error))
    if troubles:
        raise DisagreementError("; ".join(troubles))
    return "; ".join(facts)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
