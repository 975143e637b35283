"""The target that a verb is for, and what it says."""

from __future__ import annotations

from collections.abc import Mapping

from apps.errors import CommandError
from transports.control import ControlClient, ControlEntry, ControlError, Json, NoAnswer, running_processes

Object = dict[str, Json]


def ask(wanted: str, verb: str, **arguments: Json) -> Object:
    """Have a target do something; wanted: its process number, its role, or empty for the only one.

    arguments: None stands for one that is left out. CommandError when no target is meant, or it refuses.
    """
    process = chosen(wanted)
    return tell(process, verb, {name: value for name, value in arguments.items() if value is not None})


def tell(process: ControlEntry, verb: str, arguments: Mapping[str, Json]) -> Object:
    """Have this target do something.

    A verb may take long, but a process that serves says at once what it is: CommandError when this one does not.
    """
    try:
        with ControlClient(process.path, timeout_s=ANSWER_TIMEOUT_S) as client:
            client.snapshot()
        with ControlClient(process.path, timeout_s=TIMEOUT_S) as client:
            found = client.command(verb, arguments)
    except NoAnswer as error:
        problem = f"target {process.pid}: it does not answer"
        raise CommandError(problem, "see whether it is stopped, and repeat") from error
    except ControlError as error:
        raise CommandError(f"target {process.pid}: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"target {process.pid} answered something else than was asked for")
    return {"pid": process.pid, **found}


def chosen(wanted: str) -> ControlEntry:
    """The target that is meant. CommandError, which lists those that there are, when that is none or not one."""
    running = running_processes(ROLE)
    found = [entry for entry in running if wanted in ("", str(entry.pid), entry.role)]
    if len(found) == 1:
        return found[0]
    if not running:
        raise CommandError("no target of yours runs here", "start one: baremetal nvme target --namespace mem:64MiB")
    if not found:
        raise CommandError(f"no target {wanted} of yours runs here", f"there are: {_listed(running)}")
    raise CommandError(f"{len(found)} targets run here: {_listed(found)}", "say which with --target PID")


def _listed(entries: list[ControlEntry]) -> str:
    return ", ".join(f"{entry.pid} ({_places(entry)})" for entry in entries)


def _places(entry: ControlEntry) -> str:
    # Where it listens, which is what tells targets apart.
    try:
        with ControlClient(entry.path, timeout_s=SHORT_TIMEOUT_S) as client:
            listening = client.snapshot().get("listening")
    except ControlError:
        return "it does not answer"
    return ", ".join(listening) if isinstance(listening, dict) and listening else "it listens nowhere"


ROLE = "nvme-target"
TIMEOUT_S = 120.0
"""More than a flush takes of everything that fits into memory."""
SHORT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
