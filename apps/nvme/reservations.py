"""`baremetal nvme resv-...`: reservations, with the names and numbers of nvme-cli."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from apps.arguments import Json, Local
from apps.errors import CommandError
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.session import SessionOptions, open_namespace
from apps.output import console
from stacks.nvme.host import CommandFailed
from stacks.nvme.sync import Namespace
from wire.nvme.reservations import (
    AcquireAction,
    PersistenceChange,
    RegisterAction,
    ReleaseAction,
    ReservationReport,
    ReservationType,
)
from wire.nvme.status import StatusCode


def parse_key(text: str | int) -> int:
    """A reservation key: a number of 64 bits, as 4660 or 0x1234."""
    try:
        key = int(str(text), 0)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no key; write a number such as 4660 or 0x1234") from error
    if not 0 <= key <= KEY_MAX:
        raise typer.BadParameter(f"a key has 64 bits, {text} does not fit")
    return key


def parse_type(text: str | int) -> ReservationType:
    """A reservation type by number or name."""
    return _chosen(ReservationType, text)


def parse_type_or_none(text: str | int) -> int:
    """A reservation type by number or name, or 0."""
    return 0 if str(text) == "0" else parse_type(text)


def parse_register_action(text: str | int) -> RegisterAction:
    """RREGA by number or name."""
    return _chosen(RegisterAction, text)


def parse_acquire_action(text: str | int) -> AcquireAction:
    """RACQA by number or name."""
    return _chosen(AcquireAction, text)


def parse_release_action(text: str | int) -> ReleaseAction:
    """RRELA by number or name."""
    return _chosen(ReleaseAction, text)


def parse_persistence(text: str | int) -> PersistenceChange:
    """CPTPL by number or name."""
    return _chosen(PersistenceChange, text)


Choice = TypeVar("Choice", bound=IntEnum)
TYPES = ", ".join(f"{kind.value} {kind.name.lower().replace('_', '-')}" for kind in ReservationType)
KEY_MAX = (1 << 64) - 1
RESCAP_PTPL = 1 << 0
"""Persist through power loss, of Identify Namespace."""

Key = Annotated[int, typer.Option(parser=parse_key, metavar="KEY", help="The key that this host has registered.")]
Type = Annotated[ReservationType, typer.Option(parser=parse_type, metavar="TYPE", help=f"{TYPES}.")]


def resv_register(
    url: Url,
    nrkey: Annotated[int, typer.Option(parser=parse_key, metavar="KEY", help="The key to register, not 0.")] = 0,
    crkey: Key = 0,
    rrega: Annotated[
        RegisterAction,
        typer.Option(parser=parse_register_action, metavar="ACTION", help="0 register, 1 unregister, 2 replace."),
    ] = RegisterAction.REGISTER,
    iekey: Annotated[bool, typer.Option("--iekey", help="Whatever --crkey is.")] = False,
    cptpl: Annotated[
        PersistenceChange,
        typer.Option(
            parser=parse_persistence, metavar="CHANGE", help="Persistence through power loss: 0 keep, 2 clear, 3 set."
        ),
    ] = PersistenceChange.KEEP,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Register this host with a namespace, unregister it, or replace its key."""
    if not nrkey and rrega is not RegisterAction.UNREGISTER:
        raise CommandError("0 is no key to register", "give --nrkey KEY, such as 0x1234", status=2)
    with conflicts_told(), open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        if persistence_is_missing(namespace, cptpl):
            raise CommandError(
                f"namespace {namespace.nsid} keeps no reservations through a loss of power (RESCAP)",
                "leave --cptpl out; of our targets, those with an image file do",
            )
        namespace.reservation_register(nrkey, key=crkey, action=rrega, ignores_key=iekey, persistence=cptpl)
        done = {0: "registered with", 1: "unregistered from", 2: "replaced the key with"}[rrega]
        tell(f"{done} namespace {namespace.nsid}", namespace, console(), as_json=as_json)


def resv_acquire(
    url: Url,
    rtype: Type,
    crkey: Key = 0,
    prkey: Annotated[
        int, typer.Option(parser=parse_key, metavar="KEY", help="Whose registrations to preempt, by their key.")
    ] = 0,
    racqa: Annotated[
        AcquireAction,
        typer.Option(parser=parse_acquire_action, metavar="ACTION", help="0 acquire, 1 preempt, 2 preempt-and-abort."),
    ] = AcquireAction.ACQUIRE,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Reserve a namespace, or preempt other hosts."""
    with conflicts_told(), open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        namespace.reservation_acquire(crkey, rtype, action=racqa, preempted_key=prkey)
        done = {0: "acquired", 1: "preempted on", 2: "preempted and aborted on"}[racqa]
        tell(f"{done} namespace {namespace.nsid}", namespace, console(), as_json=as_json)


def resv_release(
    url: Url,
    crkey: Key = 0,
    rtype: Annotated[
        int, typer.Option(parser=parse_type_or_none, metavar="TYPE", help=f"The type of the reservation: {TYPES}.")
    ] = 0,
    rrela: Annotated[
        ReleaseAction, typer.Option(parser=parse_release_action, metavar="ACTION", help="0 release, 1 clear.")
    ] = ReleaseAction.RELEASE,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Release the reservation, or clear it and all registrations."""
    with conflicts_told(), open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        namespace.reservation_release(crkey, rtype, action=rrela)
        done = {0: "released", 1: "cleared"}[rrela]
        tell(f"{done} namespace {namespace.nsid}", namespace, console(), as_json=as_json)


def resv_report(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show who is registered with a namespace, and what is reserved."""
    with open_namespace(url, SessionOptions(local=local, host_nqn=host_nqn)) as namespace:
        report = namespace.reservation_report()
    show_report(report, console(), as_json=as_json)


@contextlib.contextmanager
def conflicts_told() -> Iterator[None]:
    """Where the target says that others have the namespace, say how to see who."""
    try:
        yield
    except CommandFailed as error:
        if error.code != StatusCode.RESERVATION_CONFLICT:
            raise
        raise CommandError(f"{error}", "`nvme resv-report` shows who is registered, and who has reserved it") from error


def persistence_is_missing(namespace: Namespace, change: PersistenceChange) -> bool:
    """Whether a namespace is to keep reservations that it cannot keep."""
    return change is PersistenceChange.SET and not namespace.core.data.rescap & RESCAP_PTPL


def tell(sentence: str, namespace: Namespace, to: Console, *, as_json: bool) -> None:
    """Say what was done; as JSON, what is now."""
    if as_json:
        show_report(namespace.reservation_report(), to, as_json=True)
    else:
        to.print(sentence, highlight=False)


def show_report(report: ReservationReport, to: Console, *, as_json: bool) -> None:
    """Print a report as nvme-cli does, or as JSON with its names.

    nvme-cli leaves leading zeros of each byte of a host identifier out; here all its digits are there.
    """
    head = {
        "gen": report.generation,
        "rtype": report.kind,
        "regctl": report.registrant_count,
        "ptpls": int(report.is_persistent),
    }
    entries = [
        {"cntlid": each.cntlid, "rcsts": int(each.is_holder), "rkey": each.key, "hostid": each.host_id.hex()}
        for each in report.registrants
    ]
    if as_json:
        to.print_json(data={**head, "regctlext": entries})
        return
    lines = ["", "NVME Reservation status:", "", *(f"{name:<9} : {value}" for name, value in head.items())]
    for index, entry in enumerate(entries):
        lines.append(f"regctlext[{index}] :")
        lines += [f"  {name:<10} : {value:x}" for name, value in entry.items() if isinstance(value, int)]
        lines.append(f"  {'hostid':<10} : {entry['hostid']}")
    to.print("\n".join([*lines, ""]), markup=False, highlight=False, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    app.command(epilog="baremetal nvme resv-register nvme+rdma://127.0.0.2 --nrkey 0xa1")(resv_register)
    app.command(epilog="baremetal nvme resv-acquire nvme+rdma://127.0.0.2 --crkey 0xa1 --rtype 1")(resv_acquire)
    app.command(epilog="baremetal nvme resv-release nvme+rdma://127.0.0.2 --crkey 0xa1 --rtype 1")(resv_release)
    app.command(epilog="baremetal nvme resv-report nvme+rdma://127.0.0.2")(resv_report)


def _chosen(kind: type[Choice], text: str | int) -> Choice:
    names = {member.name.lower().replace("_", "-"): member for member in kind}
    numbers = {str(member.value): member for member in kind}
    wanted = str(int(text)) if isinstance(text, int) else text.lower()
    if wanted in numbers:
        return numbers[wanted]
    if wanted in names:
        return names[wanted]
    raise typer.BadParameter(f"{text!r} is none of {', '.join(f'{each.value} {name}' for name, each in names.items())}")
