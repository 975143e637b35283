"""Requests to manage a target: arguments are read and checked, a verb runs, and one line says what cannot be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from apps.errors import explain_os_error
from stacks.nvme.configuration import ConfiguredSubsystem, ConfiguredTarget
from stacks.nvme.serving.aio import Server
from stacks.nvme.target.namespace import Namespace
from stacks.runtime import LocalError
from stacks.runtime.toml_places import Place
from stacks.runtime.toml_table import Reader, Table
from transports.control import ControlError, Json
from transports.control.server import Command
from transports.errors import TransportError


@dataclass(frozen=True, slots=True)
class Argument:
    """What a verb takes. read: of what JSON says; default: where it is left out. is_needed: it may not be.

    is_list: there are several, each of which is read.
    """

    read: Reader[object]
    default: object = None
    is_needed: bool = False
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """Something to do with a target.

    run: called with a `Manager`, and the arguments by name; what it returns is answered, or what it returns is awaited
    for. It raises LocalError, OSError or TransportError for what cannot be.
    """

    run: Callable[..., Json | Awaitable[Json]]
    arguments: Mapping[str, Argument]


class Manager:
    """A target that serves, and can be managed.

    configured: what it is made of; server: what serves it; end: has the process end in good order.
    """

    def __init__(self, configured: ConfiguredTarget, server: Server, *, end: Callable[[], None]) -> None:
        self.configured = configured
        self.server = server
        self.target = configured.target
        self.end = end

    def commands(self, verbs: Mapping[str, Verb]) -> dict[str, Command]:
        """The verbs as commands of a control socket."""
        return {name: partial(self._perform, name, verb) for name, verb in verbs.items()}

    def subsystem(self, nqn: str) -> ConfiguredSubsystem:
        """The subsystem of that name, or (empty) the only one; LocalError when there is none, or more than one."""
        return self.configured.subsystem(nqn)

    def namespace(self, nqn: str, nsid: int) -> Namespace:
        """A namespace; LocalError when there is none."""
        return self.subsystem(nqn).subsystem.namespace(nsid)

    def _perform(self, name: str, verb: Verb, arguments: Mapping[str, Json]) -> Json | Awaitable[Json]:
        values = read_arguments(name, verb, arguments)
        try:
            with self.server.changing():
                found = verb.run(self, **values)
        except (LocalError, OSError, TransportError) as error:
            raise refusal(error) from error
        return self._awaited(found) if isinstance(found, Awaitable) else found

    async def _awaited(self, found: Awaitable[Json]) -> Json:
        try:
            return await found
        except (LocalError, OSError, TransportError) as error:
            raise refusal(error) from error


def read_arguments(name: str, verb: Verb, arguments: Mapping[str, Json]) -> dict[str, object]:
    """The arguments of a verb by name; ControlError for the first that is wrong, missing, or not known."""
    problems: list[tuple[Place, str]] = []
    table = Table(name, (), dict(arguments), problems=problems)
    values: dict[str, object] = {}
    for key, argument in verb.arguments.items():
        if argument.is_needed and not table.has(key):
            table.note(f"{name} needs {key}")
        read = table.read_each(key, argument.read) if argument.is_list else table.read(key, argument.read, None)
        values[key] = read if table.has(key) else argument.default
    table.finish()
    if problems:
        raise ControlError(problems[0][1])
    return values


def refusal(error: Exception) -> ControlError:
    """What is answered to a request that cannot be."""
    return ControlError(explain_os_error(error) if isinstance(error, OSError) else str(error))
