"""What a program asks of the connection manager in error, and what a connection says of itself."""

import pytest

from stacks.rdma.cm import CmConfig, ConnectionParameters, ConnectionState
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qpn": 1 << 24}, "qpn must be between"),
        ({"starting_psn": -1}, "starting_psn must be between"),
        ({"path_mtu": 1500}, "path_mtu must be one of 256, 512, 1024, 2048, 4096, not 1500"),
        ({"responder_resources": 256}, "responder_resources"),
        ({"rnr_retry": 8}, "rnr_retry"),
        ({"own_ack_timeout": 32}, "own_ack_timeout"),
        ({"traffic_class": 256}, "traffic_class"),
    ],
)
def test_parameters_out_of_range_are_a_local_error(changes: dict[str, int], reason: str) -> None:
    rig = Rig()
    parameters = ConnectionParameters(**{"qpn": 17, **changes})  # type: ignore[arg-type]
    with pytest.raises(LocalError, match=reason):
        rig.active.connect(PASSIVE, SERVICE, parameters=parameters)
    assert len(rig.active) == 0


def test_a_path_mtu_above_what_the_configuration_allows_is_a_local_error() -> None:
    rig = Rig(config=CmConfig(max_path_mtu=1024))
    with pytest.raises(LocalError, match="path_mtu is 2048, but max_path_mtu 1024"):
        rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=17, path_mtu=2048))
    assert len(rig.active) == 0


def test_misuse_is_a_local_error_that_changes_nothing() -> None:
    rig = Rig()
    with pytest.raises(LocalError, match="not a numeric IP address"):
        rig.active.connect("localhost", SERVICE, parameters=rig.parameters())
    with pytest.raises(LocalError, match="one is IPv4, the other IPv6"):
        rig.active.connect("2001:db8::1", SERVICE, parameters=rig.parameters())
    with pytest.raises(LocalError, match="service_id must have 64 bits"):
        rig.active.connect(PASSIVE, 1 << 64, parameters=rig.parameters())
    with pytest.raises(LocalError, match="port 65536"):
        rig.active.connect(PASSIVE, SERVICE, parameters=rig.parameters(), source_port=65536)
    with pytest.raises(LocalError, match="57 bytes, but this message holds 56"):
        rig.connect(bytes(57))
    with pytest.raises(LocalError, match="listened on already"):
        rig.passive.listen(SERVICE)
    connection = rig.connect()
    with pytest.raises(LocalError, match="ESTABLISH is not possible in state REQ_SENT"):
        rig.active.establish(connection)
    with pytest.raises(LocalError, match="only a connection that was requested"):
        rig.active.accept(connection, parameters=rig.parameters())
    with pytest.raises(LocalError, match="not negotiated yet"):
        _ = connection.settings
    rig.run(5 * MS)
    assert connection.state is ConnectionState.ESTABLISHED
    assert connection.own is not None
    with pytest.raises(LocalError, match="is connected"):
        rig.active.connect(PASSIVE, SERVICE, parameters=connection.own)


def test_identifiers_follow_from_the_seed_alone() -> None:
    def identifiers(seed: int) -> tuple[int, int | None]:
        connection = Rig(seed).connect()
        assert connection.own is not None
        return connection.local_comm_id, connection.own.starting_psn

    assert identifiers(1) == identifiers(1)
    assert identifiers(1) != identifiers(3)


def test_a_rejection_with_an_impossible_reason_changes_nothing() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: None
    rig.connect()
    rig.run(MS)
    with pytest.raises(LocalError, match="reason must have 16 bits"):
        rig.passive.reject(rig.requested(), reason=1 << 16)
    assert rig.requested().state is ConnectionState.REQ_RCVD


def test_a_connection_says_what_it_is() -> None:
    rig = Rig()
    active, passive = rig.connected()
    assert repr(active) == f"<Connection {active.local_comm_id:#010x} to {PASSIVE} ESTABLISHED>"
    assert f"from {ACTIVE}" in repr(passive)
