"""The verbs of `baremetal nvme ctl` at the target's end: what each takes, and what does it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from apps.nvme.management import hosts, namespaces, paths, picture, stores
from apps.nvme.management.manager import Argument, Verb
from stacks.nvme.configuration import readers
from stacks.nvme.target.ana import ANA_GROUPS_MAX
from stacks.nvme.target.controller_kind import IO
from stacks.nvme.target.subsystem import CNTLID_MAX, NAMESPACES_MAX
from stacks.nvme.target.target import PORTID_MAX
from stacks.runtime.toml_table import Reader
from wire.nvme.kinds import AnaState


def needed(reader: Reader[object]) -> Argument:
    """An argument that has to be there."""
    return Argument(reader, is_needed=True)


def each(reader: Reader[object], *, is_needed: bool = False) -> Argument:
    """Several of something; None where they are left out."""
    return Argument(reader, is_needed=is_needed, is_list=True)


NQN = Argument(readers.nqn, "")
NSID = needed(readers.whole(1, NAMESPACES_MAX))
FREE_NSID = Argument(readers.whole(1, NAMESPACES_MAX), 0)
HOST = Argument(readers.nqn, "")
PORT = needed(readers.whole(1, PORTID_MAX))
GROUP = needed(readers.whole(1, ANA_GROUPS_MAX))
FLAG = Argument(readers.truth, default=False)
NAME = needed(readers.text)
SIZE = needed(readers.size(1, 1 << 62))
SPACE: Mapping[str, Argument] = MappingProxyType({"nqn": NQN, "nsid": NSID})
STATES = MappingProxyType({state.name.lower().replace("_", "-"): state for state in AnaState})
NEW: Mapping[str, Argument] = {
    "nsid": FREE_NSID,
    "block_size": Argument(readers.block_size, 4096),
    "uuid": Argument(readers.identifier),
    "ana_group": Argument(readers.whole(1, ANA_GROUPS_MAX), 1),
}

VERBS: Mapping[str, Verb] = {
    "list": Verb(picture.picture, {}),
    "reservations": Verb(picture.reservations, {"nqn": NQN, "nsid": FREE_NSID}),
    "add-namespace": Verb(
        namespaces.add_namespace,
        {
            "store": needed(readers.store),
            "folder": Argument(readers.text),
            "nqn": NQN,
            **NEW,
            "visible_to": each(readers.nqn),
            "read_only": FLAG,
            "faults": each(readers.fault),
            "cache": FLAG,
            "seed": Argument(readers.whole(0, (1 << 64) - 1), 0),
        },
    ),
    "remove-namespace": Verb(namespaces.remove_namespace, SPACE),
    "resize": Verb(namespaces.resize, {**SPACE, "size": SIZE, "shrink": FLAG}),
    "create": Verb(
        namespaces.create,
        {"directory": Argument(readers.text, ""), "size": SIZE, "file": Argument(readers.text, ""), **NEW},
    ),
    "delete": Verb(namespaces.delete, SPACE),
    "show": Verb(namespaces.show, {**SPACE, "host": HOST}),
    "hide": Verb(namespaces.hide, {**SPACE, "host": HOST}),
    "set-group": Verb(namespaces.set_group, {**SPACE, "group": GROUP}),
    "allow": Verb(hosts.allow, {"nqn": NQN, "host": HOST}),
    "deny": Verb(hosts.deny, {"nqn": NQN, "host": HOST}),
    "kick": Verb(hosts.kick, {"nqn": NQN, "host": HOST, "controller": Argument(readers.whole(1, CNTLID_MAX), 0)}),
    "set-ana": Verb(
        paths.set_ana,
        {
            "nqn": NQN,
            "group": GROUP,
            "state": needed(readers.word(STATES)),
            "port": Argument(readers.whole(1, PORTID_MAX)),
            "after_ns": Argument(readers.whole(0, 10**11), 0),
        },
    ),
    "add-port": Verb(
        paths.add_port,
        {
            "listen": needed(readers.listen),
            "portid": Argument(readers.whole(1, PORTID_MAX), 0),
            "serves": each(readers.nqn),
        },
    ),
    "remove-port": Verb(paths.remove_port, {"port": PORT}),
    "set-serves": Verb(paths.set_serves, {"port": PORT, "serves": each(readers.nqn)}),
    "add-referral": Verb(paths.add_referral, {"to": needed(readers.referral), "nqn": NQN}),
    "remove-referral": Verb(paths.remove_referral, {"to": needed(readers.referral)}),
    "add-subsystem": Verb(
        paths.add_subsystem,
        {
            "nqn": needed(readers.nqn),
            "serial": Argument(readers.printable(20), ""),
            "model": Argument(readers.printable(40), ""),
            "kind": Argument(readers.word(readers.KINDS), IO),
            "allowed_hosts": each(readers.nqn),
            "max_controllers": Argument(readers.whole(1, CNTLID_MAX)),
        },
    ),
    "remove-subsystem": Verb(paths.remove_subsystem, {"nqn": needed(readers.nqn)}),
    "store-faults": Verb(stores.store_faults, {**SPACE, "add": each(readers.fault), "clear": FLAG}),
    "power-cut": Verb(stores.power_cut, SPACE),
    "snapshot": Verb(stores.snapshot, {**SPACE, "name": NAME}),
    "rollback": Verb(stores.rollback, {**SPACE, "name": NAME}),
    "delete-snapshot": Verb(stores.delete_snapshot, {**SPACE, "name": NAME}),
    "drain": Verb(paths.drain, {}),
}
