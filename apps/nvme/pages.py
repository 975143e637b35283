"""`baremetal nvme smart-log`, `ana-log`, and the other log pages of a controller; `get-feature`."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import Json, Local
from apps.nvme.arguments import HOST_NQN, HostNqn, Url
from apps.nvme.printing.documents import ana_json, errors_json, firmware_json, smart_json
from apps.nvme.printing.effects import effects_lines
from apps.nvme.printing.errors import error_lines
from apps.nvme.printing.features import SELECTS, feature_lines
from apps.nvme.printing.logs import ana_lines, changed_lines, firmware_lines, smart_lines, supported_lines
from apps.nvme.printing.names import FEATURES
from apps.nvme.session import SessionOptions, open_subsystem
from apps.output import print_json, print_lines
from stacks.nvme.host import pages
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.logs_codec import AnaGroup, AnaHeader, ErrorLogEntry
from wire.nvme.opcodes import NSID_BROADCAST, LogPage


def parse_number(text: str | int) -> int:
    """A number of 32 bits, as 6 or 0x06."""
    try:
        number = int(str(text), 0)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no number; write it as 6 or 0x06") from error
    if not 0 <= number < 1 << 32:
        raise typer.BadParameter(f"{text} is no number of 32 bits")
    return number


def add_to(app: typer.Typer) -> None:
    """Make these commands of a group."""
    for command in (smart_log, ana_log, error_log, fw_log, effects_log, changed_ns_list_log, supported_log_pages):
        app.command()(command)
    app.command()(get_feature)


def smart_log(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show a controller's health, and how much it has read and written."""
    nsid = url.nsid or NSID_BROADCAST
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        log = connection.get_log_page(pages.SMART, nsid=nsid, retain=True)
    if as_json:
        print_json(smart_json(log))
    else:
        print_lines(smart_lines(log, str(url), nsid))


def ana_log(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show the ANA groups of a port, their states and namespaces."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        report = connection.get_log_page(pages.ANA, retain=True, length=_ana_bytes(connection.host.identity))
    if as_json:
        print_json(ana_json(report, str(url)))
    else:
        print_lines(ana_lines(report, str(url)))


def error_log(
    url: Url,
    log_entries: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="How many, if there are so many.")] = 64,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Show a controller's error log; it begins anew with each connection."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        length = min(log_entries, connection.host.identity.elpe + 1) * ErrorLogEntry.SIZE
        data = connection.get_log_page(LogPage.ERROR.value, length=length, retain=True)
    entries = [ErrorLogEntry.decode(data, at) for at in range(0, length, ErrorLogEntry.SIZE)]
    if as_json:
        print_json(errors_json(entries))
    else:
        print_lines(error_lines(entries, str(url)))


def fw_log(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which firmware is in which slot."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        log = connection.get_log_page(pages.FIRMWARE, retain=True)
    if as_json:
        print_json(firmware_json(log, str(url)))
    else:
        print_lines(firmware_lines(log, str(url)))


def effects_log(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which commands a controller has, and what each changes."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        data = connection.get_log_page(LogPage.COMMAND_EFFECTS.value, length=EFFECTS_BYTES, retain=True)
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, 2048, 4)]
    admin, io = words[:256], words[256:]
    if as_json:
        tables = {"admin_cmd_set": ("ACS", admin), "io_cmd_set": ("IOCS", io)}
        named = {
            key: {f"{prefix}_{opcode} ({opcode:#x})": word for opcode, word in enumerate(entries) if word & 1}
            for key, (prefix, entries) in tables.items()
        }
        print_json({"command_set_identifier": 0, **named})
    else:
        print_lines(effects_lines(admin, io))


def changed_ns_list_log(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which namespaces have changed; the list begins anew with each connection."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        nsids = connection.get_log_page(pages.CHANGED_NAMESPACES, retain=True)
    if as_json:
        print_json({"changed_namespaces": nsids})
    else:
        print_lines(changed_lines(nsids))


def supported_log_pages(url: Url, local: Local = "", host_nqn: HostNqn = HOST_NQN, as_json: Json = False) -> None:
    """Show which log pages a controller has."""
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        found = connection.get_log_page(pages.SUPPORTED_LOGS, retain=True)
    if as_json:
        words = {page: entry.parameter << 16 | entry.supported for page, entry in found.items()}
        print_json({"supported_logs": [{f"lid_{page:#x} ": word} for page, word in words.items()]})
    else:
        print_lines(supported_lines(found, str(url)))


def get_feature(
    url: Url,
    feature_id: Annotated[int, typer.Option(parser=parse_number, metavar="FID", help="The feature, as 0x06.")],
    sel: Annotated[
        int,
        typer.Option(metavar="WHICH", min=0, max=3, help="0 current, 1 default, 2 saved, 3 what can be done to it."),
    ] = 0,
    cdw11: Annotated[
        int, typer.Option(parser=parse_number, metavar="NUMBER", help="What else the feature has to be told.")
    ] = 0,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    as_json: Json = False,
) -> None:
    """Show a controller's or a namespace's feature."""
    if feature_id > 0xFF:
        raise typer.BadParameter(f"a feature has a number up to 0xff, not {feature_id:#x}")
    with open_subsystem(url, SessionOptions(local=local, host_nqn=host_nqn)) as connection:
        found = connection.get_features(feature_id, select=sel, value=cdw11, nsid=url.nsid)
    if as_json:
        name = FEATURES.get(feature_id, "Unknown")
        print_json({"feature": feature_id, "name": name, SELECTS[sel]: found.value, "data": found.data.hex()})
    else:
        print_lines(feature_lines(feature_id, sel, found.value, found.data))


def _ana_bytes(identity: IdentifyController) -> int:
    # Room for every group and every namespace; but not for what a controller only claims.
    nsids = min(identity.mnan or identity.nn, NSIDS_MAX)
    return AnaHeader.SIZE + identity.nanagrpid * AnaGroup.SIZE + nsids * 4


EFFECTS_BYTES = 4096
NSIDS_MAX = 1 << 16
