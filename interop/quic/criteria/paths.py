"""What is demanded of new paths: that they are validated, and with IDs of their own."""

from __future__ import annotations

from interop.outcome import DisagreementError
from interop.quic.dissect.frames import PATH_CHALLENGE, PATH_RESPONSE
from interop.quic.dissect.trace import SentDatagram, Trace
from transports.datagram import Address

Path = tuple[Address, Address]


def paths_validated(trace: Trace) -> str:
    """The server's first datagram on each new path has a PATH_CHALLENGE, and the client answers each of those."""
    server = [each for each in trace.sent if not each.is_from_client and each.packets]
    firsts = _firsts(server)
    challenges = []
    for path, datagram in firsts[1:]:
        found = _data(datagram, PATH_CHALLENGE)
        if not found:
            raise DisagreementError(f"the server's first datagram to {_text(path[1])} has no PATH_CHALLENGE")
        challenges += found
    if len(firsts) < 2:
        raise DisagreementError(f"a single path from the server: {_text(firsts[0][0][1]) if firsts else 'none'}")
    answers = {data for each in trace.sent if each.is_from_client for data in _data(each, PATH_RESPONSE)}
    unanswered = [each.hex() for each in challenges if each not in answers]
    if unanswered:
        raise DisagreementError(f"no PATH_RESPONSE to {', '.join(unanswered)}")
    return f"{len(firsts)} paths, each new one challenged at once and answered"


def several_addresses(trace: Trace) -> str:
    """The server saw the client at more than one address."""
    found = {each.seen.destination[0] for each in trace.sent if not each.is_from_client}
    if len(found) < 2:
        raise DisagreementError(f"a single address of the client: {', '.join(found) or 'none'}")
    return f"{len(found)} addresses of the client"


def fresh_ids(trace: Trace) -> str:
    """The client's first datagram on each new path has another Destination Connection ID than the one before."""
    client = [each for each in trace.sent if each.is_from_client and each.packets]
    firsts = _firsts(client)
    if len(firsts) < 2:
        raise DisagreementError("the client used a single path")
    index = {id(each): number for number, each in enumerate(client)}
    for path, datagram in firsts[1:]:
        before = client[index[id(datagram)] - 1].packets[0].header.destination_cid
        if datagram.packets[0].header.destination_cid == before:
            raise DisagreementError(f"the client's first datagram to {_text(path[1])} has the connection ID of before")
    return f"the client used {len(firsts)} paths, each with an ID of its own"


def _firsts(datagrams: list[SentDatagram]) -> list[tuple[Path, SentDatagram]]:
    """The first datagram on each path, in order."""
    found: dict[Path, SentDatagram] = {}
    for each in datagrams:
        found.setdefault((each.seen.source, each.seen.destination), each)
    return list(found.items())


def _data(datagram: SentDatagram, kind: int) -> list[bytes]:
    return [frame.data for packet in datagram.packets for frame in packet.frames if frame.kind == kind]


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
