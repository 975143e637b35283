"""What a program may ask of a connection, and what is refused before anything is sent."""

from __future__ import annotations

import pytest

from stacks.nvme.host import HostConfig
from stacks.nvme.host.admin import write_feature
from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from tests.stacks.nvme.tcp_rig import TcpRig


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"io_queues": 0}, "io_queues is 0; it is 1 to 65534"),
        ({"io_queues": 70000}, "io_queues is 70000"),
        ({"queue_entries": 1}, "queue_entries is 1; it is 2 to 65536"),
        ({"keep_alive_ms": -1}, "keep_alive_ms is -1"),
        ({"keep_alive_ms": 1 << 32}, "keep_alive_ms is 4294967296"),
        ({"command_timeout_ns": 0}, "command_timeout_ns is 0; it is 1 at least"),
        ({"host_nqn": ""}, "host_nqn is empty"),
        ({"host_nqn": "nqn.2014-08.org:" + "x" * 300}, "host_nqn has 316 bytes; an NQN has 223 at most"),
        ({"nqn": "é" * 200}, "nqn has 400 bytes"),
    ],
)
def test_what_no_connect_could_say_is_refused_at_once(options: dict[str, object], reason: str) -> None:
    with pytest.raises(LocalError) as caught:
        HostConfig(**options)  # type: ignore[arg-type]
    assert reason in str(caught.value)


def test_a_value_that_does_not_fit_its_field_is_refused_and_the_association_goes_on() -> None:
    rig = TcpRig()
    host = rig.connect()
    outcomes: list[StackError | None] = []
    for value in (-1, 1 << 32):
        steps = write_feature([], fid=1, value=value, nsid=0, data=b"", is_saved=False)
        host.run(steps, outcomes.append, rig.simulation.now)
    rig.run_until(lambda: len(outcomes) == 2)
    assert all(isinstance(each, LocalError) for each in outcomes)
    assert host.is_live
    assert rig.read(host.namespace(), 0, 1) == bytes(4096)


def test_a_range_that_no_command_can_name_is_refused() -> None:
    namespace = TcpRig(MemoryStore(64 << 40)).namespace()
    with pytest.raises(LocalError, match="4294967295 is the most"):
        namespace.deallocate([(0, 1 << 33)])
    with pytest.raises(LocalError, match="does not fit into 64 bits"):
        namespace.reservation_register(1 << 64)
