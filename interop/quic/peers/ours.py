"""Ours: `baremetal quic serve` and `baremetal quic get`."""

from __future__ import annotations

from collections.abc import Sequence

import apps
from apps.processes import command_line
from interop.quic.peers.peer import ClientTask, Command, ServerTask


class Ours:
    """The commands of this tree."""

    name = "ours"
    alpns: Sequence[str] = ("hq-interop", "h3")

    def missing(self) -> str:
        """Whether the commands are there yet."""
        from apps.command_line import app

        names = {group.name for group in app.registered_groups}
        return "" if "quic" in names else "`baremetal quic`, which is not there yet"

    def version(self) -> str:
        """Of the tree."""
        return apps.__version__

    def server(self, task: ServerTask) -> Command:
        """`baremetal quic serve`."""
        raise NotImplementedError

    def client(self, task: ClientTask) -> list[Command]:
        """`baremetal quic get`."""
        raise NotImplementedError


COMMAND = command_line(["quic"])
