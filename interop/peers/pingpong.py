"""ibv_rc_pingpong and ibv_uc_pingpong: one message to and fro, and theirs sends what it received last.

With --chk the client starts with 0 in the first byte of each page and 0x7b elsewhere, and the server complains at the
end unless those bytes are 0 still. So ours sends a new message each time, with those bytes 0, and must get it back.
"""

from __future__ import annotations

from interop.peers.hand import connect_by_hand
from interop.peers.inbox import Inbox
from interop.peers.link import Link
from interop.peers.rendezvous import Place, meet
from interop.peers.terms import Terms, check_data, pattern
from stacks.rdma import QpType, SendWr, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint

PAGE = 4096
USUAL_PATH_MTU = 1024


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Be either side."""
    qp = endpoint.create_qp(qp_type=QpType.UC if "uc" in terms.options else QpType.RC)
    inbox = Inbox(endpoint, slots=2, size=terms.size)
    inbox.prepare(qp)

    def get_ready(ours: list[Place], theirs: list[Place]) -> None:
        connect_by_hand(qp, ours[0], theirs[0], terms.path_mtu or USUAL_PATH_MTU)

    meet(terms, [qp.number], get_ready)
    return play(Link(endpoint, qp), inbox, terms)


def play(link: Link, inbox: Inbox, terms: Terms) -> str:
    """Exchange the messages over a queue pair that is ready."""
    memory = bytearray(terms.size)
    mr = link.endpoint.pd.reg_mr(memory)
    expected = first_message(terms.size)
    for number in range(terms.count):
        if terms.is_server:
            check_data(f"message {number}", inbox.take(link), expected)
        memory[:] = expected = page_pattern(number, terms.size)
        link.send(SendWr(number, WrOpcode.SEND, [mr.sge()]))
        is_last = terms.is_server and number == terms.count - 1
        (link.wait_last if is_last else link.wait)(WcOpcode.SEND)
        if not terms.is_server:
            check_data(f"echo {number}", inbox.take(link), expected)
    return f"{terms.count} messages of {terms.size} bytes went to and fro intact"


def first_message(size: int) -> bytes:
    """What a client of theirs starts with."""
    message = bytearray(b"\x7b" * size)
    message[::PAGE] = bytes(len(message[::PAGE]))
    return bytes(message)


def page_pattern(number: int, size: int) -> bytes:
    """A message of ours that --chk has nothing against."""
    message = bytearray(pattern(number, size))
    message[::PAGE] = bytes(len(message[::PAGE]))
    return bytes(message)
