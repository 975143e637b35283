"""qemu's monitor: requests and their answers, one JSON object each (QMP, docs/interop/qmp-spec of qemu)."""

from __future__ import annotations

import json
import socket

from interop.guest.agent import GuestError


class Monitor:
    """A connection to the monitor; takes over `stream`."""

    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(ANSWER_SECONDS)
        self._lines = stream.makefile("rw", encoding="utf-8")
        stream.close()  # the file keeps the connection
        self._lines.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: str) -> object:
        """The answer to a command; GuestError when qemu refuses it or does not answer."""
        try:
            self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self._lines.flush()
            while "event" in (answer := json.loads(self._lines.readline())):
                pass
        except (OSError, ValueError) as error:
            raise GuestError(f"qemu does not answer to {command}: {error}") from error
        if "error" in answer:
            raise GuestError(f"qemu refuses {command}: {answer['error'].get('desc')}")
        return answer["return"]


ANSWER_SECONDS = 10
