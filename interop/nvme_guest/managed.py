"""A target of ours whose ANA states can be changed: `python -m interop.nvme_guest.managed IMAGE URL ...`.

Its control socket takes the command `ana` with group, state and, for one port only, the port's number: that of its URL
among the arguments, from 1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

import trio

from stacks.nvme.aio import Server, serve
from stacks.nvme.url import parse_url
from transports.control import ControlServer, Json
from wire.nvme.kinds import AnaState


def main() -> None:
    """Serve until standard input ends."""
    trio.run(_serve, sys.argv[1], sys.argv[2:])


async def _serve(image: str, urls: list[str]) -> None:
    nqn = parse_url(urls[0]).nqn

    def set_ana(arguments: Mapping[str, Json]) -> Json:
        portid = arguments.get("port")
        state = AnaState[str(arguments["state"])]
        server.target.subsystems[nqn].set_ana_state(
            int(str(arguments["group"])), state, portid=None if portid is None else int(str(portid))
        )
        for port in server.ports:
            port.driver.wake()
        return None

    async with serve(urls, image) as server, trio.open_nursery() as nursery:
        control = ControlServer("nvme-target", lambda: _snapshot(server), commands={"ana": set_ana})
        await nursery.start(control.run)
        print(json.dumps({"urls": urls}), flush=True)
        async with trio.lowlevel.FdStream(os.dup(0)) as stream:
            while await stream.receive_some():
                pass
        nursery.cancel_scope.cancel()


def _snapshot(server: Server) -> dict[str, Json]:
    """How many commands were answered through each port, in order."""
    return {"answers": [port.core.counters.snapshot()["responses_sent"] for port in server.ports]}


if __name__ == "__main__":
    main()
