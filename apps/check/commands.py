"""`baremetal check`: read captures, show what their connections did, and which rules they broke."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.errors import CommandError
from apps.output import console
from apps.sizes import parse_duration
from stacks.rdma.conformance import Checker, CheckerOptions, Finding, FlowSummary, observe
from wire.errors import WireError
from wire.pcap import decode_pcap, is_pcap
from wire.pcapng import CapturedPacket, decode_packets


def check(
    captures: Annotated[list[Path], typer.Argument(metavar="CAPTURE...", help="pcapng or pcap files.")],
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Packets may have been lost before they reached the place of capture.")
    ] = False,
    cut: Annotated[bool, typer.Option("--cut", help="The capture may end in the middle of the traffic.")] = False,
    cnp_interval: Annotated[
        int | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Least time between two CNPs to a queue pair."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check RoCEv2 captures for go-back-N, READ retries, CNPs, opcode order and ICRC.

    Ends with status 0 when every rule was kept, 1 when one was broken, 2 for a file that cannot be used.
    """
    options = CheckerOptions(is_lossy=lossy, is_cut=cut, cnp_interval_ns=cnp_interval)
    results = [check_file(path, options) for path in captures]
    if as_json:
        console().print_json(json.dumps([as_document(*result) for result in results]))
    else:
        for result in results:
            show(*result)
    if any(checker.findings for _, checker, _ in results):
        raise typer.Exit(1)


def check_file(path: Path, options: CheckerOptions) -> tuple[Path, Checker, list[FlowSummary]]:
    """Check one file; CommandError with status 2 when it is no capture or has no RoCEv2 packet."""
    checker = Checker(options)
    try:
        for number, packet in enumerate(packets_of(path), start=1):
            seen = observe(number, packet.timestamp_ns, packet.data, packet.link_type)
            if seen is not None:
                checker.handle(seen)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", status=2) from error
    except WireError as error:
        raise CommandError(
            f"{path} is no whole capture file: {error}", "give a pcapng or pcap file", status=2
        ) from error
    if not checker.packets:
        raise CommandError(
            f"{path} has no RoCEv2 packet",
            "capture UDP port 4791, for example: tcpdump -w FILE udp port 4791",
            status=2,
        )
    return path, checker, checker.finish()


def packets_of(path: Path) -> Iterator[CapturedPacket]:
    """The packets of a capture file of either kind."""
    with path.open("rb") as file:
        # Looked at before the rest is read: what is no capture may have no end.
        start = file.read(4)
        if start and start != SECTION_HEADER and not is_pcap(start):
            raise CommandError(f"{path} is no capture file", "give a pcapng or pcap file", status=2)
        content = start + file.read()
    return decode_pcap(content) if is_pcap(content) else decode_packets(content)


def show(path: Path, checker: Checker, flows: list[FlowSummary]) -> None:
    """Print the result for people: a line a finding, and a table of the connections."""
    out = console()
    table = Table(box=None, pad_edge=False)
    for column in ("from", "to", "QP"):
        table.add_column(column)
    for column in ("packets", "again", "timeouts", "NAK", "RNR", "CE", "CNP"):
        table.add_column(column, justify="right")
    for flow in flows:
        counts = flow.counts
        numbers = (
            counts.packets, counts.retransmitted, counts.timeouts, counts.sequence_naks + counts.fatal_naks,
            counts.rnr_naks, counts.ecn_marked, counts.cnps,
        )  # fmt: skip
        table.add_row(flow.source, flow.destination, f"{flow.transport} {flow.dest_qp:#x}", *map(str, numbers))
    if flows:
        out.print(table)
    for finding in checker.findings:
        out.print(line_of(finding), soft_wrap=True, highlight=False)
    broken = len(checker.findings)
    verdict = f"rules broken {broken} {'time' if broken == 1 else 'times'}" if broken else "every rule kept"
    out.print(f"{path}: {checker.packets} RoCEv2 packets, {verdict}", soft_wrap=True, highlight=False)


def line_of(finding: Finding) -> str:
    """One line for a finding."""
    place = f"packet {finding.packet}" if finding.packet else "at the end"
    return f"{place}: {finding.rule} ({finding.rule.section}): {finding.text} [{finding.flow}]"


def as_document(path: Path, checker: Checker, flows: list[FlowSummary]) -> dict[str, object]:
    """The result for programs."""
    findings = [{**asdict(finding), "section": finding.rule.section} for finding in checker.findings]
    return {
        "capture": str(path),
        "packets": checker.packets,
        "findings": findings,
        "flows": [asdict(flow) for flow in flows],
    }


SECTION_HEADER = b"\n\r\r\n"
