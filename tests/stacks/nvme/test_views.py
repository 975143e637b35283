"""What a management command sees of a target."""

from __future__ import annotations

import json
from dataclasses import asdict
from uuid import UUID

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import PortAddress, Subsystem
from stacks.nvme.target.views import controller_views, port_views, subsystem_views
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.fabrics_rig import BLOCK, FabricsRig, host_nqn
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.tcp_rig import TcpRig
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import DISCOVERY_NQN


def rig() -> FabricsRig:
    subsystem = Subsystem(NQN, serial="S1", model="M1", allowed_hosts=[host_nqn("two"), host_nqn("one")])
    subsystem.add_namespace(MemoryStore(16 * BLOCK), identifier=UUID(int=7))
    subsystem.add_namespace(MemoryStore(8 * BLOCK, block_bytes=512), ana_group=2, visible_to=[host_nqn("two")])
    made = FabricsRig(subsystem)
    made.add_port(PortAddress(TransportType.RDMA, "2001:db8::1", 4420), portid=9, serves=[NQN])
    made.add_port(None)
    subsystem.set_ana_state(2, AnaState.NON_OPTIMIZED, portid=9)
    return made


def test_ports_are_shown() -> None:
    assert [asdict(view) for view in port_views(rig().target)] == [
        {"portid": 1, "transport": "tcp", "address": "192.0.2.1:4420", "serves": None},
        {"portid": 9, "transport": "rdma", "address": "[2001:db8::1]:4420", "serves": [NQN]},
        {"portid": 2, "transport": "", "address": "", "serves": None},
    ]


def test_subsystems_are_shown() -> None:
    made = rig()
    made.host("one")
    discovery, disk = (asdict(view) for view in subsystem_views(made.target))
    assert (discovery["nqn"], discovery["kind"], discovery["namespaces"]) == (DISCOVERY_NQN, "discovery", [])
    assert disk == {
        "nqn": NQN,
        "kind": "io",
        "serial": "S1",
        "model": "M1",
        "allowed_hosts": [host_nqn("one"), host_nqn("two")],
        "namespaces": [
            {
                "nsid": 1,
                "uuid": "00000000-0000-0000-0000-000000000007",
                "block_bytes": 4096,
                "block_count": 16,
                "is_read_only": False,
                "ana_group": 1,
                "visible_to": None,
            },
            {
                "nsid": 2,
                "uuid": disk["namespaces"][1]["uuid"],
                "block_bytes": 512,
                "block_count": 64,
                "is_read_only": False,
                "ana_group": 2,
                "visible_to": [host_nqn("two")],
            },
        ],
        "ana": {"1": "optimized", "2": "optimized", "2 at port 9": "non-optimized"},
        "controllers": 1,
    }


def test_controllers_are_shown_as_their_hosts_see_them() -> None:
    made = rig()
    made.host("one", kato_ms=5000)
    made.host("two", port=1)
    one, two = (asdict(view) for view in controller_views(made.target))
    assert one == {
        "subsystem": NQN,
        "cntlid": 1,
        "kind": "io",
        "state": "ready",
        "host_nqn": host_nqn("one"),
        "host_id": one["host_id"],
        "portid": 1,
        "transport": "tcp",
        "address": "192.0.2.1:4420",
        "remote": "198.51.100.7",
        "io_queues": {"1": 32},
        "kato_ms": 5000,
        "namespaces": [1],
        "ana": {"1": "optimized", "2": "optimized"},
    }
    assert bytes.fromhex(one["host_id"])[-3:] == b"one"
    assert (two["portid"], two["kato_ms"], two["namespaces"]) == (9, 0, [1, 2])
    assert two["ana"] == {"1": "optimized", "2": "non-optimized"}


def test_hosts_are_shown_where_they_come_from() -> None:
    tcp, rdma = TcpRig(), RdmaRig(MemoryStore(1 << 20))
    tcp.connect()
    rdma.connect()
    assert [(view.transport, view.remote) for view in controller_views(tcp.target)] == [("tcp", "192.0.2.2")]
    assert [(view.transport, view.remote) for view in controller_views(rdma.target)] == [("rdma", "192.0.2.2")]


def test_every_view_is_json() -> None:
    made = rig()
    made.host("one")
    target = made.target
    views = [*port_views(target), *subsystem_views(target), *controller_views(target)]
    assert json.loads(json.dumps([asdict(view) for view in views])) == [asdict(view) for view in views]
