"""The programs that run in the guest, what each is told, and what a run varies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

NOTHING = "(?!)"
"""A pattern that nothing matches."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run varies.

    size: of a message, in bytes. count: of messages or round trips. is_ipv6: the family of addresses. mtu: of the
    Ethernet. path_mtu: bytes; None for the largest that fits. loss: percent of what the guest sends.
    """

    size: int = 4000
    count: int = 10
    is_ipv6: bool = False
    mtu: int = 9000
    path_mtu: int | None = None
    loss: int = 0

    def __str__(self) -> str:
        family = "IPv6" if self.is_ipv6 else "IPv4"
        path = f", path MTU {self.path_mtu}" if self.path_mtu else ""
        loss = f", loss {self.loss} %" if self.loss else ""
        return f"{self.count} x {self.size} bytes, {family}, MTU {self.mtu}{path}{loss}"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the guest, and what ours has to do.

    serve, connect: the guest's command lines, with fields of `soft_roce` in braces. peer: as `interop.peers` knows it.
    port: TCP or rdma_cm port. options: for the peer. complaint: what the guest prints, at status 0, when data is wrong.
    excuse: what the guest prints when it ends with another status than 0 and is right all the same.
    is_endless: the guest's server serves for good. meets: they exchange queue pairs over TCP, which is IPv4 always.
    varies: which conditions it knows.
    """

    name: str
    serve: str
    connect: str
    peer: str
    port: int
    options: tuple[str, ...] = ()
    complaint: str = "mismatch|invalid data|[Ff]ail|error:"
    excuse: str = NOTHING
    is_endless: bool = False
    meets: bool = False
    varies: tuple[str, ...] = ("size", "path_mtu", "mtu", "is_ipv6", "loss")
    conditions: Conditions = Conditions()


def sweep(program: Program) -> Iterator[Conditions]:
    """The conditions of the long run, one varied at a time, of those that the program knows."""
    for name in program.varies:
        for value in VALUES[name]:
            changed = replace(program.conditions, **{name: value})
            yield replace(changed, count=LOSSY_COUNT) if name == "loss" and "size" in program.varies else changed


def _perftest(test: str, *, kind: str = "rc", varies: tuple[str, ...] | None = None, size: int = 4000) -> Program:
    name = f"ib_{test}" if kind == "rc" else f"ib_{test}-{kind}"
    words = f"ib_{test} -x {{gid}} -p {{port}} -n {{count}} -m {{mtu}} -F -c {kind.upper()}"
    words += " -A FETCH_AND_ADD" if test.startswith("atomic") else " -s {size}"
    return Program(
        name,
        serve=words,
        connect=f"{words} {{host}}",
        peer="perftest",
        port=18515,
        options=(test, kind),
        meets=True,
        varies=varies or EVERYTHING,
        conditions=Conditions(size=size, count=20),
    )


EVERYTHING = ("size", "path_mtu", "mtu", "is_ipv6", "loss")
VALUES: dict[str, tuple[Any, ...]] = {
    "size": (64, 1000, 4096, 20_000, 60_000),
    "path_mtu": (256, 512, 1024, 2048, 4096),
    "mtu": (1500,),
    "is_ipv6": (True,),
    "loss": (1, 5),
}
LOSSY_COUNT = 30

PINGPONG = "-g {gid} -p {port} -s {size} -n {count} -m {mtu} -c"
PROGRAMS = (
    Program(
        "rping",
        serve="rping -s -a {guest} -p {port} -S {size} -C {count} -V -v",
        connect="rping -c -a {host} -p {port} -S {size} -C {count} -V -v",
        peer="rping",
        port=7174,
        complaint="mismatch|cma event",
        # Its thread for events may still read when the main one has closed the channel at the end.
        excuse="rdma_get_cm_event: Bad file descriptor",
    ),
    Program(
        "ibv_rc_pingpong",
        serve=f"ibv_rc_pingpong {PINGPONG}",
        connect=f"ibv_rc_pingpong {PINGPONG} {{host}}",
        peer="pingpong",
        port=18515,
        meets=True,
        conditions=Conditions(size=20_000),
    ),
    Program(
        "ibv_uc_pingpong",
        serve=f"ibv_uc_pingpong {PINGPONG}",
        connect=f"ibv_uc_pingpong {PINGPONG} {{host}}",
        peer="pingpong",
        port=18515,
        meets=True,
        options=("uc",),
        varies=("size", "path_mtu", "mtu", "is_ipv6"),
        conditions=Conditions(size=20_000),
    ),
    Program(
        "ibv_ud_pingpong",
        serve="ibv_ud_pingpong -g {gid} -p {port} -s {size} -n {count} -c",
        connect="ibv_ud_pingpong -g {gid} -p {port} -s {size} -n {count} -c {host}",
        peer="ud_pingpong",
        port=18515,
        meets=True,
        varies=("mtu", "is_ipv6"),
        conditions=Conditions(size=1000),
    ),
    Program(
        "udaddy",
        serve="udaddy -b {guest} -C {count} -S {size}",
        connect="udaddy -s {host} -C {count} -S {size}",
        peer="udaddy",
        port=7174,
        varies=("mtu", "is_ipv6"),
        conditions=Conditions(size=1000),
    ),
    Program(
        "ibv_srq_pingpong",
        serve=f"ibv_srq_pingpong {PINGPONG}",
        connect=f"ibv_srq_pingpong {PINGPONG} {{host}}",
        peer="srq_pingpong",
        port=18515,
        meets=True,
        varies=("size", "path_mtu", "mtu", "is_ipv6"),
        conditions=Conditions(count=48),
    ),
    Program(
        "rdma_client",
        serve="rdma_server -s {guest} -p {port}",
        connect="rdma_client -s {host} -p {port}",
        peer="rdma_client",
        port=7471,
        varies=("is_ipv6", "loss"),
        conditions=Conditions(size=16, count=1),
    ),
    Program(
        "ucmatose",
        serve="ucmatose -b {guest} -p {port} -C {count} -S {size}",
        connect="ucmatose -s {host} -p {port} -C {count} -S {size}",
        peer="ucmatose",
        port=7471,
    ),
    Program(
        "cmtime",
        serve="cmtime -b {guest} -p {port} -c {count}",
        connect="cmtime -s {host} -p {port} -c {count}",
        peer="cmtime",
        port=7471,
        is_endless=True,
        varies=("is_ipv6", "loss"),
        conditions=Conditions(size=0, count=20),
    ),
    *(_perftest(test) for test in ("send_bw", "send_lat", "write_bw", "read_bw", "read_lat")),
    # Its sides leave without waiting for each other.
    _perftest("write_lat", varies=("size", "path_mtu", "mtu", "is_ipv6")),
    *(_perftest(test, varies=("path_mtu", "mtu", "is_ipv6", "loss"), size=8) for test in ("atomic_bw", "atomic_lat")),
    # Without acknowledgements, long messages at full speed are more than an emulated processor takes in time.
    *(_perftest(test, kind="uc", varies=("path_mtu", "mtu", "is_ipv6")) for test in ("send_bw", "write_bw")),
)
"""Each is a case of its own, `rxe-NAME`."""
