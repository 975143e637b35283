"""Faults on purpose, as commands take them, run them and tell of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apps.errors import explain_os_error
from apps.output import console
from apps.sizes import format_duration
from stacks.rdma import Device, DeviceConfig, FaultPlan, FaultRule
from stacks.rdma.faults import FaultReport, load_plan, parse_rule
from stacks.runtime import LocalError
from transports.control import ControlError, Json


def parse_fault(text: str | FaultRule) -> FaultRule:
    """A rule of the command line."""
    if isinstance(text, FaultRule):
        return text
    try:
        return parse_rule(text)
    except LocalError as error:
        raise typer.BadParameter(f"{text}: {error}") from error


def parse_faults(text: str | FaultPlan) -> FaultPlan:
    """The plan in a file."""
    if isinstance(text, FaultPlan):
        return text
    try:
        return load_plan(Path(text).read_text(), text)
    except LocalError as error:
        raise typer.BadParameter(str(error)) from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{text} is no text, and a plan is a TOML file") from error
    except OSError as error:
        raise typer.BadParameter(explain_os_error(error)) from error


def device_config(faults: FaultPlan | None, fault: Sequence[FaultRule] | None) -> DeviceConfig | None:
    """How a command's device is made: with the rules of a file, then those of the command line; None without any."""
    if faults is None and not fault:
        return None
    plan = faults or FaultPlan()
    return DeviceConfig(faults=FaultPlan((*plan.rules, *(fault or ())), plan.seed))


@contextlib.contextmanager
def reported(device: Device | None, *, is_quiet: bool = False) -> Iterator[None]:
    """Tell on standard error, when the block is over or fails, what a device's plan did.

    is_quiet: only when it fails, for otherwise the command's JSON tells it.
    """
    is_told_elsewhere = False
    try:
        yield
        is_told_elsewhere = is_quiet
    finally:
        if device is not None and device.faults is not None and not is_told_elsewhere:
            show_report(device.faults.report(), console(stderr=True), title="faults on purpose")


def report_json(device: Device | None) -> dict[str, Json]:
    """What a device's plan did, as one key to add to a command's JSON; nothing without a plan."""
    return {} if device is None or device.faults is None else {"faults": device.faults.report().as_json()}


def show_report(report: FaultReport, out: Console, *, title: str) -> None:
    """Every hit as a row, then each rule, those that never fired named as such."""
    if report.hits:
        start_ns = report.hits[0].time_ns
        table = Table("after", "way", "rule", "action", "opcode", "PSN", "QP", "to QP", "peer", "detail", title=title,
                      title_justify="left")  # fmt: skip
        for hit in report.hits[:SHOWN_HITS]:
            after = format_duration(hit.time_ns - start_ns)
            row = (after, hit.direction.value, hit.rule, hit.action.value, hit.opcode, hit.psn, hit.qp, hit.dest_qp)
            table.add_row(*("-" if cell is None else str(cell) for cell in row), hit.peer, hit.detail)
        out.print(table)
    unlisted = report.unlisted + len(report.hits[SHOWN_HITS:])
    if unlisted:
        out.print(f"and {unlisted} more hits", highlight=False)
    for rule in report.rules:
        fired = f"fired {rule.fired} times" if rule.fired else "[red]never fired[/]"
        line = f"rule {rule.number}, {escape(rule.text)}: {fired}, {rule.matched} packets matched"
        out.print(line, soft_wrap=True, markup=True)


def control_faults(devices: Mapping[str, Device], arguments: Mapping[str, Json]) -> Json:
    """The control socket's command `faults`: reports by device, after `add` (rules as text) and `clear`.

    device: the address of one, where there are several and rules are to be added. ControlError for anything else.
    """
    chosen = _chosen(devices, arguments.get("device"))
    rules = arguments.get("add", [])
    if not isinstance(rules, list):
        raise ControlError("add is a list of rules")
    try:
        parsed = [parse_rule(str(rule)) for rule in rules]
    except LocalError as error:
        raise ControlError(str(error)) from error
    for device in chosen.values():
        if arguments.get("clear") and device.faults is not None:
            device.faults.clear()
        for rule in parsed:
            (device.faults or device.attach(FaultPlan())).add(rule)
    return {
        address: (FaultReport() if device.faults is None else device.faults.report()).as_json()
        for address, device in chosen.items()
    }


def _chosen(devices: Mapping[str, Device], address: Json) -> Mapping[str, Device]:
    if address is None:
        return devices
    if not isinstance(address, str) or address not in devices:
        raise ControlError(f"no device {address} here; there are: {', '.join(devices)}")
    return {address: devices[address]}


SHOWN_HITS = 100
"""Hits in a table; the JSON has all that are kept."""

Fault = Annotated[
    list[FaultRule] | None,
    typer.Option(
        parser=parse_fault,
        metavar="RULE",
        help="Make packets go wrong: drop:opcode=RC_SEND_ONLY,nth=2. Repeatable; see docs/faults.md.",
    ),
]
Faults = Annotated[
    FaultPlan | None, typer.Option(parser=parse_faults, metavar="FILE", help="Rules for that from a TOML file.")
]
