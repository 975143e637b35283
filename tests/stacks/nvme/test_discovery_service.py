"""The discovery service: what each host is told, how the log looks, and who hears of which change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Port, PortAddress, Subsystem, Target
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import ENABLE, NQN
from tests.stacks.nvme.fabrics_rig import SECOND, FabricsRig, RigHost, RigQueue, disk, host_nqn
from wire.nvme.kinds import DiscoveryLogOption, SubsystemType, TransportType
from wire.nvme.logs_codec import DiscoveryEntry, DiscoveryExtension, DiscoveryHeader, RdmaAddress, TcpAddress
from wire.nvme.opcodes import DISCOVERY_NQN, FeatureId, LogPage
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode
from wire.nvme.text import padded_text

CHANGED = 0x0070F002
ELSEWHERE = PortAddress(TransportType.TCP, "203.0.113.9", 8009)


def discovering(rig: FabricsRig, name: str = "one", **options: int) -> RigHost:
    """A host that stays connected to the discovery service."""
    return rig.host(name, nqn=DISCOVERY_NQN, kato_ms=60_000, **options)


def summary(host: RigHost, **options: int) -> list[tuple[int, str, str, str]]:
    """(subtype, NQN, address, port) of each entry."""
    return [
        (entry.subtype, padded_text(entry.subnqn), padded_text(entry.traddr), padded_text(entry.trsvcid))
        for entry in host.discover(**options)[1]
    ]


def test_the_log_has_this_service_and_every_subsystem_at_every_port() -> None:
    rig = FabricsRig(disk(), disk(nqn=NQN + "2"), ports=2)
    host = discovering(rig)
    assert summary(host) == [
        (SubsystemType.CURRENT_DISCOVERY, DISCOVERY_NQN, "192.0.2.1", "4420"),
        (SubsystemType.CURRENT_DISCOVERY, DISCOVERY_NQN, "192.0.2.2", "4420"),
        (SubsystemType.NVM, NQN, "192.0.2.1", "4420"),
        (SubsystemType.NVM, NQN, "192.0.2.2", "4420"),
        (SubsystemType.NVM, NQN + "2", "192.0.2.1", "4420"),
        (SubsystemType.NVM, NQN + "2", "192.0.2.2", "4420"),
    ]
    header, entries = host.discover()
    assert (header.recfmt, header.dlpf, header.tdlpl, header.numrec) == (0, 0, 0, 6)
    assert [entry.portid for entry in entries] == [1, 2, 1, 2, 1, 2]


def test_an_entry_says_how_to_connect() -> None:
    rig = FabricsRig(ports=0)
    rig.add_port(PortAddress(TransportType.TCP, "192.0.2.1", 4421), portid=7)
    rig.add_port(PortAddress(TransportType.RDMA, "2001:db8::2", 4420), portid=3)
    _, (this, _, tcp, rdma) = discovering(rig).discover()
    assert (tcp.trtype, tcp.adrfam, tcp.portid, tcp.cntlid, tcp.asqsz) == (3, 1, 7, 0xFFFF, 32)
    assert (rdma.trtype, rdma.adrfam, rdma.portid, rdma.cntlid) == (1, 2, 3, 0xFFFF)
    assert tcp.treq == rdma.treq == 4, "nothing about a secure channel, as nvmet, and flow control can be off"
    assert TcpAddress.decode(tcp.tsas).sectype == 0
    assert tcp.tsas == bytes(256)
    assert RdmaAddress.decode(rdma.tsas) == RdmaAddress(qptype=1, prtype=4, cms=1)
    assert tcp.trsvcid == b"4421".ljust(32)
    assert rdma.traddr == b"2001:db8::2".ljust(256)
    assert tcp.subnqn == NQN.encode().ljust(256, b"\0")
    assert (this.eflags, tcp.eflags, rdma.eflags) == (3, 0, 0), "a host may stay here, and all ports say the same"


def test_a_port_that_listens_everywhere_is_named_as_the_host_found_it() -> None:
    rig = FabricsRig(ports=0)
    rig.add_port(PortAddress(TransportType.TCP, "0.0.0.0", 4420))
    rig.add_port(PortAddress(TransportType.TCP, "::", 4421))
    rig.add_port(PortAddress(TransportType.RDMA, "192.0.2.7", 4420))

    def seen(local_host: str) -> list[str]:
        host = discovering(rig)
        host.admin.queue.local_host = local_host
        return [each[2] + " " + each[3] for each in summary(host)[: host.discover()[0].numrec // 2]]

    assert seen("192.0.2.1") == ["192.0.2.1 4420", "192.0.2.1 4421", "192.0.2.7 4420"]
    assert seen("2001:db8::1") == ["2001:db8::1 4421", "192.0.2.7 4420"]
    assert seen("") == ["0.0.0.0 4420", ":: 4421", "192.0.2.7 4420"], "the binding does not say"


def test_a_port_without_an_address_is_not_in_the_log() -> None:
    rig = FabricsRig()
    before = rig.target.discovery_generation
    rig.add_port(None)
    assert len(summary(discovering(rig))) == 2
    assert rig.target.discovery_generation == before


def test_a_discovery_port_serves_the_service_and_nothing_else() -> None:
    rig = FabricsRig()
    rig.add_port(PortAddress(TransportType.TCP, "192.0.2.9", 8009), serves=())
    host = discovering(rig, port=1)
    assert summary(host) == [
        (SubsystemType.CURRENT_DISCOVERY, DISCOVERY_NQN, "192.0.2.1", "4420"),
        (SubsystemType.CURRENT_DISCOVERY, DISCOVERY_NQN, "192.0.2.9", "8009"),
        (SubsystemType.NVM, NQN, "192.0.2.1", "4420"),
    ]
    answer = RigQueue(rig, rig.ports[1]).connect()
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_PARAMETERS, 256 | 1 << 16)


def test_a_host_sees_the_subsystems_that_it_may_connect_to() -> None:
    private = Subsystem(NQN + "2", allowed_hosts=[host_nqn("two")])
    rig = FabricsRig(disk(), private)
    one, two = discovering(rig, "one"), discovering(rig, "two")
    assert [each[1] for each in summary(one)] == [DISCOVERY_NQN, NQN]
    assert [each[1] for each in summary(two)] == [DISCOVERY_NQN, NQN, private.nqn]


def test_port_local_entries_are_those_of_the_port_that_is_asked() -> None:
    rig = FabricsRig(ports=2)
    rig.target.discovery.add_referral(ELSEWHERE)
    host = discovering(rig, port=1)
    local = DiscoveryLogOption.PORT_LOCAL_ENTRIES
    assert [each[2] for each in summary(host, options=local)] == ["192.0.2.2", "192.0.2.2"]
    assert host.discover(options=local)[0].dlpf == local


def test_extended_entries_carry_their_length() -> None:
    host = discovering(FabricsRig())
    header, entries = host.discover(options=DiscoveryLogOption.EXTENDED_ENTRIES)
    assert (header.dlpf, header.tdlpl, header.numrec) == (1, 1024 + 2 * 1032, 2)
    assert entries == host.discover()[1]
    data = host.admin.port.target.discovery.log(host.admin.queue.controller, 1)  # type: ignore[arg-type]
    assert len(data) == header.tdlpl
    assert DiscoveryExtension.decode(data, 2048) == DiscoveryExtension(tel=1032, numexat=0)


def test_what_is_not_supported_is_not_claimed_and_changes_nothing() -> None:
    rig = FabricsRig(disk(), Subsystem(NQN + "2", allowed_hosts=[]))
    host = discovering(rig)
    supported = int.from_bytes(host.admin.log_page(0, 1024).data[0x70 * 4 :][:4], "little")
    assert supported == 1 | 0b011 << 16
    header, entries = host.discover(options=DiscoveryLogOption.ALL_ENTRIES)
    assert (header.dlpf, entries) == (0, host.discover()[1])


def test_the_log_is_read_in_pieces() -> None:
    host = discovering(FabricsRig())
    pieces = [host.admin.log_page(LogPage.DISCOVERY, 512, offset=at).data for at in range(0, 3072, 512)]
    whole = b"".join(pieces)
    assert DiscoveryHeader.decode(whole).numrec == 2
    assert DiscoveryEntry.decode(whole, 2048) == host.discover()[1][1]


def test_referrals_come_and_go() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    discovery, plain = rig.target.discovery, summary(host)
    discovery.add_referral(ELSEWHERE)
    discovery.add_referral(PortAddress(TransportType.RDMA, "2001:db8::9", 4420), NQN + ":discovery")
    assert summary(host) == [
        *plain,
        (SubsystemType.REFERRAL, DISCOVERY_NQN, "203.0.113.9", "8009"),
        (SubsystemType.REFERRAL, NQN + ":discovery", "2001:db8::9", "4420"),
    ]
    assert [entry.eflags for entry in host.discover()[1][-2:]] == [0, 0]
    discovery.remove_referral(ELSEWHERE)
    assert len(summary(host)) == len(plain) + 1


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (ELSEWHERE, "already"),
        (PortAddress(TransportType.TCP, "0.0.0.0", 8009), "nobody can connect"),
        (PortAddress(TransportType.TCP, "192.0.2.3", 0), "nobody can connect"),
        (PortAddress(TransportType.TCP, "somewhere", 8009), "no numeric address"),
    ],
)
def test_a_referral_that_cannot_be_is_refused(address: PortAddress, text: str) -> None:
    discovery = FabricsRig().target.discovery
    discovery.add_referral(ELSEWHERE)
    generation = discovery.generation
    with pytest.raises(LocalError, match=text):
        discovery.add_referral(address)
    with pytest.raises(LocalError, match="no referral"):
        discovery.remove_referral(PortAddress(TransportType.TCP, "192.0.2.3", 8009))
    assert discovery.generation == generation


def port_comes(rig: FabricsRig) -> None:
    rig.add_port(PortAddress(TransportType.RDMA, "192.0.2.77", 4420))


def port_goes(rig: FabricsRig) -> None:
    rig.target.remove_port(rig.ports[1])


def port_serves_less(rig: FabricsRig) -> None:
    rig.target.set_serves(rig.ports[1], ())


def subsystem_comes(rig: FabricsRig) -> None:
    rig.target.add_subsystem(Subsystem(NQN + ":new"))


def subsystem_goes(rig: FabricsRig) -> None:
    rig.target.remove_subsystem(NQN)


def referral_comes(rig: FabricsRig) -> None:
    rig.target.discovery.add_referral(ELSEWHERE)


CHANGES: list[Callable[[FabricsRig], None]] = [
    port_comes,
    port_goes,
    port_serves_less,
    subsystem_comes,
    subsystem_goes,
    referral_comes,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_for_all_is_counted_and_told_to_all(change: Callable[[FabricsRig], None]) -> None:
    rig = FabricsRig(ports=2)
    hosts = [discovering(rig, "one"), discovering(rig, "two")]
    generation = hosts[0].discover()[0].genctr
    change(rig)
    assert [host.events() for host in hosts] == [[CHANGED], [CHANGED]]
    assert [host.discover()[0].genctr for host in hosts] == [generation + 1] * 2
    assert [host.events() for host in hosts] == [[], []]


def test_a_change_for_one_host_is_told_to_that_host() -> None:
    private = Subsystem(NQN + "2", allowed_hosts=[])
    rig = FabricsRig(disk(), private)
    one, two = discovering(rig, "one"), discovering(rig, "two")
    private.allow_host(two.nqn)
    assert (one.news(), two.news()) == ([], [LogPage.DISCOVERY])
    private.deny_host(two.nqn)
    assert (one.news(), two.news()) == ([], [LogPage.DISCOVERY])
    private.allowed_hosts = None
    assert (one.news(), two.news()) == ([LogPage.DISCOVERY], [LogPage.DISCOVERY])
    private.allowed_hosts = [one.nqn, two.nqn]
    assert (one.news(), two.news()) == ([], [])


def test_what_a_host_cannot_see_is_counted_and_not_told() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    generation = rig.target.discovery_generation
    rig.target.add_subsystem(Subsystem(NQN + "2", allowed_hosts=[host_nqn("other")]))
    assert host.events() == []
    assert rig.target.discovery_generation == generation + 1


def test_what_is_not_in_the_log_is_neither_counted_nor_told() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    generation = rig.target.discovery_generation
    rig.subsystem.add_namespace(MemoryStore(1 << 16))
    rig.subsystem.allowed_hosts = None
    rig.host("two")
    assert host.events() == []
    assert rig.target.discovery_generation == generation


def test_several_changes_before_the_log_is_read_are_told_once_more_at_most() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    for number in range(5):
        rig.target.add_subsystem(Subsystem(f"{NQN}:{number}"))
    assert host.events() == [CHANGED]
    host.discover()
    assert host.events() == [CHANGED]
    host.discover()
    assert host.events() == []


def test_a_host_that_sets_kato_is_told_without_asking() -> None:
    # NVMe Base 2.0 3.1.2.3.1: a non-zero KATO in Connect enables the notifications.
    for kato_ms, configuration in ((0, 0), (60_000, 1 << 31)):
        rig = FabricsRig()
        queue = RigQueue(rig, rig.ports[0])
        queue.connect(nqn=DISCOVERY_NQN, kato_ms=kato_ms)
        for value in (ENABLE, 0, ENABLE):
            queue.set_property(PropertyOffset.CC, value)
        assert rig.target.controllers[0].events.configuration == configuration


def test_a_host_that_turned_the_event_off_is_not_told() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    host.set_feature(FeatureId.ASYNC_EVENT_CONFIGURATION, 0)
    subsystem_comes(rig)
    assert host.events() == []


def test_a_persistent_connection_lasts_as_long_as_its_host_is_heard() -> None:
    rig = FabricsRig()
    host = discovering(rig)
    for _ in range(10):
        rig.run_for(59 * SECOND)
        host.discover()
    rig.run_for(120 * SECOND)
    assert not host.is_connected
    subsystem_comes(rig)


def test_a_service_with_a_name_of_its_own_goes_by_both() -> None:
    own = "nqn.2026-11.io.baremetal:discovery"
    rig = FabricsRig()
    rig.target = Target([disk()], discovery_nqn=own)
    rig.ports.clear()
    rig.add_port(PortAddress(TransportType.TCP, "192.0.2.1", 8009))
    for nqn in (own, DISCOVERY_NQN):
        host = rig.host(nqn=nqn, kato_ms=1000)
        assert summary(host)[0][:2] == (SubsystemType.CURRENT_DISCOVERY, own)
        assert padded_text(host.admin.identify(1).data[768:1024]) == own


def test_hosts_of_a_port_that_goes_are_disconnected_and_others_stay() -> None:
    rig = FabricsRig(ports=2)
    leaving, staying = rig.host("one", port=1), rig.host("two", port=0)
    late = RigQueue(rig, rig.ports[1])
    rig.target.remove_port(rig.ports[1])
    rig.settle()
    assert (leaving.is_connected, staying.is_connected) == (False, True)
    assert late.connect().dw0 == 256 | 1 << 16
    with pytest.raises(LocalError, match="no port"):
        rig.target.remove_port(rig.ports[1])


def test_hosts_that_a_port_does_not_serve_any_more_are_disconnected() -> None:
    rig = FabricsRig(disk(), disk(nqn=NQN + "2"))
    first, second = rig.host("one"), rig.host("two", nqn=NQN + "2")
    rig.target.set_serves(rig.ports[0], [NQN])
    rig.settle()
    assert (first.is_connected, second.is_connected) == (True, False)
    rig.target.set_serves(rig.ports[0], None)
    assert rig.host("two", nqn=NQN + "2").is_connected


def test_port_numbers_are_given_and_kept() -> None:
    rig = FabricsRig(ports=0)

    def ids() -> list[int]:
        return [port.portid for port in rig.target.ports]

    def add(portid: int = 0) -> Port:
        return rig.add_port(None, portid=portid)

    first = add()
    add(3)
    add()
    assert ids() == [1, 3, 2]
    rig.target.remove_port(first)
    assert ids() == [3, 2]
    add()
    assert ids() == [3, 2, 1]
    for portid in (3, 0x10000, -1):
        with pytest.raises(LocalError, match=r"port"):
            add(portid)
