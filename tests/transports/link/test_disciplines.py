"""Disciplines by name: what is written becomes what is made, mistakes are one line, and the page lists everything."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from transports.errors import TransportError
from transports.link import (
    DISCIPLINES,
    Codel,
    DropHead,
    DropTail,
    DualPi2,
    FqCodel,
    Limits,
    Pie,
    Queue,
    RampMarking,
    Red,
    StepMarking,
    StrictPriority,
    make_queue,
    read_queue,
)
from transports.link.bounded import BoundedQueue
from transports.link.disciplines import KINDS, LIMIT_NAMES
from transports.link.readers import duration, span

PAGE = Path(__file__).parents[3] / "docs" / "queues.md"
MS = 1_000_000


def made(value: object, **keywords: Limits) -> Queue:
    return make_queue(read_queue(value, **keywords), random.Random(1))


def test_each_name_makes_its_discipline() -> None:
    classes = {
        "droptail": DropTail, "drophead": DropHead, "red": Red, "step": StepMarking, "dctcp": StepMarking,
        "ramp": RampMarking, "codel": Codel, "fq_codel": FqCodel, "fq-codel": FqCodel, "pie": Pie, "dualpi2": DualPi2,
    }  # fmt: skip
    for name, kind in classes.items():
        assert type(made(name)) is kind
    assert type(made("priority:queues=droptail|pie")) is StrictPriority
    assert {*classes, "priority"} == set(DISCIPLINES)


def test_a_table_and_text_say_the_same() -> None:
    for text, table in (
        ("codel:target=7ms,interval=1s,ecn=no", {"kind": "codel", "target_ms": 7, "interval": "1s", "ecn": False}),
        ("pie:alpha=0.25,mark_below=5%", {"kind": "pie", "alpha": 0.25, "mark_below": 0.05}),
        ("droptail:40ms", {"kind": "droptail", "limit_ms": 40}),
        ("step:threshold=30kB", {"kind": "step", "threshold": "30kB"}),
        ("priority:queues=droptail|codel:target=1ms",
         {"kind": "priority", "queues": ["droptail", {"kind": "codel", "target_us": 1000}]}),
    ):  # fmt: skip
        assert read_queue(text) == read_queue(table)
    with_time = made({"kind": "codel", "target_ms": 7.5})
    assert isinstance(with_time, Codel)
    assert with_time.line.law.target_ns == 7_500_000


def test_parameters_reach_what_is_made() -> None:
    fair = made("fq_codel:flows=7,quantum=300,batch=9,hashed=no")
    assert isinstance(fair, FqCodel)
    assert (fair.flows, fair.quantum_bytes, fair.batch_packets) == (7, 300, 9)
    red = made("red:min=20kB,max=60kB,max_p=5%,weight=0.01,gentle=no,hard=yes,packet=700")
    assert isinstance(red, Red)
    assert (red.min_length, red.max_length, red.counts_bytes) == (20_000, 60_000, True)
    assert (red.max_p, red.weight, red.is_gentle, red.is_hard, red.packet_bytes) == (0.05, 0.01, False, True, 700)
    dual = made("dualpi2:target=10ms,rtt_max=60ms,k=3,min=1ms,range=0,c_share=20%,overload=no")
    assert isinstance(dual, DualPi2)
    assert (dual.target_ns, dual.period_ns, dual.k, dual.min_ns, dual.range_ns) == (10 * MS, 10 * MS, 3.0, MS, 0)
    assert (dual.c_share, dual.drops_overload) == (0.2, False)
    pie = made("pie:target=20ms,update=5ms,burst=0,derandomized=no")
    assert isinstance(pie, Pie)
    assert (pie.target_ns, pie.period_ns, pie.burst_ns, pie.is_derandomized) == (20 * MS, 5 * MS, 0, False)
    ramp = made("ramp:kmin=1kB,kmax=2kB,pmax=0.5")
    assert isinstance(ramp, RampMarking)
    assert (ramp.ramp.kmin_bytes, ramp.ramp.kmax_bytes, ramp.ramp.pmax) == (1000, 2000, 0.5)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("droptail", Limits(packets=1000)),
        ("dualpi2", Limits(packets=10_000)),
        ("fq_codel", Limits(packets=10_240)),
        ("droptail:100", Limits(packets=100)),
        ("droptail:100packets", Limits(packets=100)),
        ("codel:limit=64KiB", Limits(size_bytes=65_536)),
        ("pie:limit=40ms", Limits(time_ns=40 * MS)),
        ("red:limit=40ms,limit_packets=9,limit_bytes=5kB", Limits(packets=9, size_bytes=5000, time_ns=40 * MS)),
        ("droptail:limit_bytes=0", Limits()),
    ],
)
def test_room(text: str, limits: Limits) -> None:
    queue = made(text)
    assert isinstance(queue, BoundedQueue)
    assert queue.limits == limits
    # Who makes it says how much room there is, unless the queue says it itself.
    room = Limits(size_bytes=777)
    other = made(text, room=room)
    assert isinstance(other, BoundedQueue)
    assert other.limits == (limits if ":" in text else room)


def test_room_is_for_each_queue_under_priority() -> None:
    queue = made("priority:queues=droptail|codel:limit=5", room=Limits(size_bytes=777))
    assert isinstance(queue, StrictPriority)
    rooms = [each.limits for each in queue.queues if isinstance(each, BoundedQueue)]
    assert rooms == [Limits(size_bytes=777), Limits(packets=5)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("codle", "there is no kind 'codle'; is it codel?"),
        ({"kind": "pi"}, "there is no kind 'pi'; is it pie?"),
        (5, "a kind, such as codel, or a table with one; there are: droptail, drophead"),
        ({"target_ms": 5}, "a kind, such as codel, or a table with one"),
        ("codel:tagret=5ms", "codel has no parameter 'tagret'; is it target?"),
        ("codel:target=soon", "target is a time such as 20ms, or a whole number of nanoseconds, not 'soon'"),
        ("codel:target=0ms", "target is more than no time, such as 20ms, not '0ms'"),
        ({"kind": "codel", "target_ms": True}, "target_ms is a number, and the only target"),
        ({"kind": "codel", "ecn": 1}, "ecn is true or false, not 1"),
        ("droptail:limit=5x", "limit is so much as waits, such as 100packets, 64KiB or 40ms, not '5x'"),
        ("droptail:limit=-5ms", "limit is not negative: '-5ms'"),
        ("droptail:limit_bytes=-4", "limit_bytes is not negative: '-4'"),
        ("droptail:limit_packets=some", "limit_packets is a whole number from 0 on, not 'some'"),
        ("red:min=9,max=3", "min is below max, and 9 is not below 3"),
        ("red:min=5,max=3kB", "min and max are both packets, such as 5 and 15, or both bytes"),
        ("red:weight=0", "weight is above 0, or the average never moves"),
        ("ramp:kmin=10kB,kmax=5kB", "kmin is at most kmax, and 10000 is more than 5000"),
        ("step:threshold=0", "threshold is a number of packets or bytes, or a time, above 0"),
        ("pie:alpha=-1", "alpha is a number from 0 to 1e+06, not '-1'"),
        ("pie:alpha=much", "alpha is a number from 0 to 1e+06, not 'much'"),
        ("dualpi2:k=0", "k is a number from 1 to 16, not '0'"),
        ("fq_codel:flows=0", "flows is a whole number from 1 on, not '0'"),
        ("priority", "priority needs at least one queue"),
        ("priority:queues=droptail|foo", "queues has one that is wrong: there is no kind 'foo'"),
        ({"kind": "priority", "queues": []}, "queues are queues such as droptail|codel, not []"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(value: object, words: str) -> None:
    with pytest.raises(TransportError) as caught:
        read_queue(value)
    assert str(caught.value).startswith(f"queue: {words}")
    assert "\n" not in str(caught.value)


def test_two_queues_of_one_spec_share_nothing() -> None:
    spec = read_queue("pie")
    one, other = make_queue(spec, random.Random(1)), make_queue(spec, random.Random(1))
    assert isinstance(one, Pie)
    one.probability = 0.5
    assert isinstance(other, Pie)
    assert other.probability == 0.0


def shown(reads: object, default: object) -> str:
    """A default as it would be written."""
    if isinstance(default, Limits):
        return f"{default.packets}packets"
    if isinstance(default, bool):
        return str(default).lower()
    if reads in (span, duration) and isinstance(default, int):
        return f"{default // MS}ms" if default % MS == 0 else f"{default // 1000}us"
    return "" if default is None or default == () else f"{default:g}" if isinstance(default, float) else str(default)


def test_the_page_lists_every_parameter_with_its_default() -> None:
    rows = [re.sub(r"\s*\|\s*", "|", line.replace("\\|", "/")) for line in PAGE.read_text("utf-8").splitlines()]
    for kind in KINDS:
        for each in kind.parameters:
            if each.name not in LIMIT_NAMES:
                start = f"|`{kind.name}`|`{each.name}`|{shown(each.reads, each.default)}|"
                assert any(row.startswith(start) for row in rows), start
