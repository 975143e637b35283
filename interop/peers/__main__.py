"""`python -m interop.peers PROGRAM --own ADDRESS [--remote ADDRESS] ...`: be one side of a program's exchange.

A server prints "ready" when the other side may come. The last line says what was checked; the status is 0 only then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from interop.peers import cmtime, perftest, pingpong, rdma_client, rping, srq_pingpong, ucmatose, ud_pingpong, udaddy
from interop.peers.terms import PeerError, Terms
from stacks.rdma.cm.ids import ConnectionFailed
from stacks.rdma.sync import Endpoint, open_device
from stacks.runtime import LocalError

Peer = Callable[[Endpoint, Terms], str]
PROGRAMS: dict[str, tuple[Peer, Peer]] = {
    "rping": (rping.serve, rping.run),
    "pingpong": (pingpong.run, pingpong.run),
    "perftest": (perftest.run, perftest.run),
    "srq_pingpong": (srq_pingpong.run, srq_pingpong.run),
    "rdma_client": (rdma_client.serve, rdma_client.run),
    "ud_pingpong": (ud_pingpong.run, ud_pingpong.run),
    "udaddy": (udaddy.serve, udaddy.run),
    "ucmatose": (ucmatose.serve, ucmatose.run),
    "cmtime": (cmtime.serve, cmtime.run),
}
"""As server, as client."""


def main() -> int:
    """Take part in one run; 1 with a line on stderr when something is wrong."""
    terms, program = _terms()
    serve, run = PROGRAMS[program]
    try:
        with open_device(terms.own) as endpoint:
            print((serve if terms.is_server else run)(endpoint, terms))
    except (PeerError, ConnectionFailed, LocalError, TimeoutError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    return 0


def _terms() -> tuple[Terms, str]:
    parser = argparse.ArgumentParser(prog="python -m interop.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("program", choices=sorted(PROGRAMS))
    parser.add_argument("--own", required=True, help="our address")
    parser.add_argument("--remote", help="the server's address; without it, be the server")
    parser.add_argument("--meeting", help="the server's address for TCP, when it is another one")
    parser.add_argument("--port", type=int, required=True, help="TCP or rdma_cm port")
    parser.add_argument("--size", type=int, default=64, help="bytes of a message")
    parser.add_argument("--count", type=int, default=10, help="messages, or round trips")
    parser.add_argument("--path-mtu", type=int, help="bytes; the largest that fits by default")
    parser.add_argument("--option", action="append", default=[], help="of the program")
    found = parser.parse_args()
    options = frozenset(found.option)
    terms = Terms(found.own, found.remote, found.port, found.size, found.count, found.path_mtu, options, found.meeting)
    return terms, found.program


if __name__ == "__main__":
    sys.exit(main())
