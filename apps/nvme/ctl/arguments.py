"""What several verbs take on the command line. What is wrong by itself is wrong here: exit status 2."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from apps.arguments import parse_image_block, parse_nqn, parse_url
from apps.sizes import parse_duration, parse_some
from stacks.nvme.configuration import readers
from stacks.nvme.stores.faults import StoreFault, parse_fault
from stacks.nvme.target.ana import ANA_GROUPS_MAX, ANATT_SECONDS
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from stacks.nvme.target.target import PORTID_MAX
from stacks.nvme.url import NvmeUrl
from stacks.runtime import LocalError
from wire.nvme.kinds import AnaState

T = TypeVar("T")


def parsed(reader: Callable[[object], T], value: object) -> T:
    """What a reader of configurations makes of a value; typer.BadParameter for what it refuses."""
    try:
        return reader(value)
    except LocalError as error:
        words = str(error)
        raise typer.BadParameter(words[:1].upper() + words[1:] if words.startswith("is ") else words) from error


def parse_store(text: str) -> str:
    """The text of a store."""
    return parsed(readers.store, text)


def parse_rule(text: str | StoreFault) -> StoreFault:
    """A fault of a store."""
    return text if isinstance(text, StoreFault) else parsed(lambda value: parse_fault(str(value)), text)


def parse_uuid(text: str | uuid.UUID) -> uuid.UUID:
    """A UUID."""
    return text if isinstance(text, uuid.UUID) else parsed(readers.identifier, text)


def parse_listening(text: str | NvmeUrl) -> NvmeUrl:
    """Where a port listens."""
    return text if isinstance(text, NvmeUrl) else parsed(readers.listen, text)


def parse_referral(text: str | NvmeUrl) -> NvmeUrl:
    """Where another discovery service is."""
    if isinstance(text, str):
        parsed(readers.referral, text)
    return parse_url(text)


def parse_change(text: str | int) -> int:
    """How long a change of ANA state takes."""
    duration_ns = parse_duration(text)
    if duration_ns > ANATT_SECONDS * 10**9:
        raise typer.BadParameter(f"hosts wait for a change of state for at most {ANATT_SECONDS} seconds (ANATT)")
    return duration_ns


def parse_state(text: str) -> str:
    """An ANA state by name."""
    if text not in STATES:
        raise typer.BadParameter(f"a state is {', '.join(STATES)}; not {text}")
    return text


STATES = tuple(state.name.lower().replace("_", "-") for state in AnaState)

Nsid = Annotated[int, typer.Argument(metavar="NSID", min=1, max=NAMESPACES_MAX, help="The namespace's number.")]
Nqn = Annotated[
    str, typer.Option(parser=parse_nqn, metavar="NQN", help="The subsystem; not needed where there is one.")
]
Size = Annotated[int, typer.Argument(parser=parse_some, metavar="SIZE", help="How large.")]
Host = Annotated[str, typer.Argument(parser=parse_nqn, metavar="HOSTNQN", help="The host.")]
AnyHost = Annotated[str, typer.Argument(parser=parse_nqn, metavar="HOSTNQN", help="The host; or --all.")]
PortNumber = Annotated[int, typer.Argument(metavar="PORT", min=1, max=PORTID_MAX, help="The port's number.")]
Group = Annotated[int, typer.Argument(metavar="GROUP", min=1, max=ANA_GROUPS_MAX, help="The ANA group's number.")]
NewNsid = Annotated[
    int, typer.Option("--nsid", metavar="NSID", min=0, max=NAMESPACES_MAX, help="Its number; 0: the lowest free one.")
]
BlockSize = Annotated[int, typer.Option(parser=parse_image_block, metavar="SIZE", help="512 or 4096 bytes.")]
Uuid = Annotated[uuid.UUID | None, typer.Option(parser=parse_uuid, metavar="UUID", help="Its UUID.")]
AnaGroup = Annotated[int, typer.Option(metavar="GROUP", min=1, max=ANA_GROUPS_MAX, help="Its ANA group.")]
Rules = Annotated[
    list[StoreFault] | None,
    typer.Option(parser=parse_rule, metavar="RULE", help="Such as read:error=EIO,nth=3 (docs/stores.md). Repeatable."),
]
Duration = Annotated[int, typer.Option(parser=parse_change, metavar="TIME", help="Go through Change, for so long.")]
Serves = Annotated[
    list[str] | None,
    typer.Option(parser=parse_nqn, metavar="NQN", help="A subsystem that is reached there, and no other. Repeatable."),
]
