"""Links and their elements from what people write; and what is said when that makes no sense."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.transports.link.rig import send
from transports.errors import TransportError
from transports.link import (
    AckThinning,
    Aggregation,
    Blackout,
    BurstLoss,
    Codel,
    DelayReordering,
    DropList,
    DropTail,
    Element,
    FifoPort,
    GapReordering,
    GilbertElliottLoss,
    Jitter,
    Mtu,
    Nat,
    Normal,
    Policer,
    Port,
    RandomLoss,
    Red,
    ScheduledRate,
    TokenBucketRate,
    TracePort,
    Uniform,
    UnlimitedRate,
    Values,
)
from transports.link.elements import SLOTS, make_element, read_element
from transports.link.linkspec import RATES, read_link
from transports.timeline import Timeline

MS = 1_000_000


def make(name: str, value: object) -> Element:
    return make_element(name, value, Timeline(), random.Random(1))


@pytest.mark.parametrize(
    ("written", "p", "r", "h", "k"),
    [
        ("ge:p=0.01,r=30%", 0.01, 0.3, 0.0, 1.0),
        ("gilbert-elliott:p=0.01,r=0.3,h=0.5,k=0.999", 0.01, 0.3, 0.5, 0.999),
        ({"kind": "gilbert-elliott", "p": 0.01, "r": "30%"}, 0.01, 0.3, 0.0, 1.0),
        ({"kind": "ge", "p": 1, "r": 0, "k": 0.5}, 1.0, 0.0, 0.0, 0.5),
    ],
)
def test_one_loss_is_written_in_several_ways(written: object, p: float, r: float, h: float, k: float) -> None:
    loss = make("loss", written)
    assert isinstance(loss, GilbertElliottLoss)
    assert (loss.p, loss.r, loss.h, loss.k) == (p, r, h, k)


@pytest.mark.parametrize(
    ("name", "written", "kind", "attributes"),
    [
        ("loss", "1%", RandomLoss, {"probability": 0.01}),
        ("loss", 0.01, RandomLoss, {"probability": 0.01}),
        ("loss", {"p": "1e-3"}, RandomLoss, {"probability": 0.001}),
        ("loss", "burst:p=0.1,least=2,most=4", BurstLoss, {"least": 2, "most": 4}),
        ("loss", "list:1|5|10..12", DropList, {}),
        ("loss", {"kind": "list", "packets": [1, "10..12"], "flow": 3}, DropList, {}),
        ("mtu", 1400, Mtu, {"mtu_bytes": 1400}),
        ("mtu", "2KiB", Mtu, {"mtu_bytes": 2048}),
        ("policer", "10mbit,burst=15kB", Policer, {}),
        ("policer", {"rate": "10Mbit/s", "burst": 15_000}, Policer, {}),
        ("blackout", "1s..2s|5s..6s", Blackout, {"period_ns": 0}),
        ("blackout", [["1s", "2s"]], Blackout, {}),
        ("blackout", {"times": [["1s", "2s"]], "period_s": 10}, Blackout, {"period_ns": 10_000 * MS}),
        ("jitter", "3ms", Jitter, {"keeps_order": True}),
        ("jitter", "normal:mean=5ms,deviation=1ms,order=no", Jitter, {"keeps_order": False}),
        ("jitter", {"kind": "normal", "mean_ms": 5, "deviation_us": 2.5}, Jitter, {}),
        ("jitter", {"kind": "values", "values": ["0ms", "3ms"]}, Jitter, {}),
        ("reordering", "1%", GapReordering, {"probability": 0.01, "gap_packets": 1}),
        ("reordering", "gap:every=50,packets=3", GapReordering, {"every": 50, "gap_packets": 3}),
        ("reordering", "delay:p=1%,delay=5ms", DelayReordering, {"delay_ns": 5 * MS}),
        ("aggregation", "4ms", Aggregation, {"hold_ns": 4 * MS}),
        ("aggregation", {"hold_ms": 4, "packets": 32, "slots": True}, Aggregation, {"is_slotted": True}),
        ("thinning", 4, AckThinning, {"packets": 4, "limit_bytes": 100}),
        ("nat", "5s|9s", Nat, {}),
    ],
)
def test_elements_are_made_by_name(name: str, written: object, kind: type, attributes: dict[str, object]) -> None:
    element = make(name, written)
    assert type(element) is kind
    assert {key: getattr(element, key) for key in attributes} == attributes


def test_jitters_have_their_distributions() -> None:
    normal = make("jitter", {"kind": "normal", "mean_ms": 5, "deviation_us": 2.5})
    assert isinstance(normal, Jitter)
    assert isinstance(normal.distribution, Normal)
    assert (normal.distribution.mean_ns, normal.distribution.deviation_ns) == (5 * MS, 2500)
    uniform = make("jitter", "3ms,low=1ms")
    assert isinstance(uniform, Jitter)
    assert isinstance(uniform.distribution, Uniform)
    assert uniform.distribution.low_ns == MS


def test_values_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "delays.txt"
    file.write_text("# measured\n1.5\n\n0.25  # short\n")
    element = make("jitter", {"kind": "values", "file": str(file)})
    assert isinstance(element, Jitter)
    assert isinstance(element.distribution, Values)
    assert element.distribution.values_ns == (1_500_000, 250_000)


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("loss", 3, "loss: p is a probability from 0 to 1 such as 0.02 or 2%, not 3"),
        ("loss", "101%", "loss: p is a probability from 0 to 1 such as 0.02 or 2%, not '101%'"),
        ("loss", "gee:p=1", "loss: there is no kind 'gee'; is it ge?"),
        ("loss", "ge:p=0.1", "loss: r is needed: probability of bad to good"),
        ("loss", "ge:p=0.1,r=0.1,q=2", "loss: gilbert-elliott has no parameter 'q'; there are: p, r, h, k"),
        ("loss", "list:0", "loss: packets are numbers from 1 on such as 1|5|10..12, not '0'"),
        ("loss", "list:9..3", "loss: packets are numbers from 1 on such as 1|5|10..12, not '9..3'"),
        ("loss", {"kind": 5}, "loss: kind is a word in quotes, one of: random, burst, gilbert-elliott, ge, list"),
        ("loss", "burst:p=0.1,least=5,most=3", "loss: most is at least 5, not 3"),
        ("loss", True, "loss: p is a probability from 0 to 1 such as 0.02 or 2%, not True"),
        ("mtu", 0, "mtu: bytes is at least 1 byte, not 0"),
        ("mtu", "mtu", "mtu: bytes is a size such as 1500, 10kB or 64KiB, not 'mtu'"),
        ("policer", "10mbit", "policer: burst is needed: how many bytes at once"),
        ("policer", "rate=0,burst=5", "policer: rate is at least 1 bit/s, not '0'"),
        ("jitter", "-3ms", "jitter: high is not negative: '-3ms'"),
        ("jitter", "3", None),
        ("jitter", "3.5", "jitter: high is a time such as 20ms, or a whole number of nanoseconds, not '3.5'"),
        ("jitter", {"high_ms": "x"},
         "jitter: high is a time such as 20ms, or a whole number of nanoseconds, not 'xms'"),
        ("jitter", {"high": "3ms", "high_ms": 3}, "jitter: high_ms is a number, and the only high"),
        ("jitter", "normal:mean=1ms", "jitter: deviation is needed: the standard deviation"),
        ("jitter", "1ms,low=2ms", "jitter: high is at least 2000000, not 1000000"),
        ("jitter", "values:draw=yes", "jitter: file and values say the same thing; give one of them"),
        ("jitter", "values:no-such-file", "jitter: no-such-file: No such file or directory"),
        ("jitter", "1ms,order=maybe", "jitter: order is true or false, not 'maybe'"),
        ("blackout", "2s..1s", ("blackout: intervals are ordered, apart, and end after they begin, unlike "
                                "2000000000 to 1000000000 ns")),
        ("blackout", "2s", "blackout: times are times such as 1s..2s|5s..6s, not '2s'"),
        ("reordering", "gap:every=5,p=1%",
         "reordering: every and probability choose the packets to hold; give one of them"),
        ("aggregation", {}, "aggregation: hold or packets is above 0, or nothing is collected"),
        ("thinning", 0, "thinning: packets is a whole number from 1 on, not 0"),
        ("nat", "9s|5s", "nat: times of rebindings rise from 0 on, unlike 5000000000 ns"),
        ("lose", 1, "there is no element 'lose'; is it loss?"),
        ("loss", "p=1%,=5", "loss: p is a probability from 0 to 1 such as 0.02 or 2%, not '=5'"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line_that_names_the_parameter(
    name: str, written: object, message: str | None
) -> None:
    if message is None:
        read_element(name, written)
        return
    with pytest.raises(TransportError) as caught:
        read_element(name, written)
    assert str(caught.value) == message


def test_every_parameter_of_every_kind_is_documented() -> None:
    for kind in (*RATES, *(kind for slot in SLOTS.values() for kind in slot.kinds)):
        assert kind.text
        assert all(parameter.text for parameter in kind.parameters)


def test_a_plain_link_has_a_plain_port() -> None:
    timeline = Timeline()
    link = read_link({"rate": "8mbit", "delay_ms": 20, "limit_packets": 10}).build(timeline)
    assert isinstance(link.port, FifoPort)
    collector = send(timeline, link.sinks, [(0, 1000)] * 12)
    assert [time_ns for time_ns, _ in collector.arrivals] == [20 * MS + n * MS for n in range(1, 12)]
    assert link.port.queue.dropped_packets == 1


def test_a_link_that_is_to_change_or_to_tell_of_itself_has_a_full_port() -> None:
    spec = read_link({"rate": "8mbit"})
    assert isinstance(spec.build(Timeline(), is_fixed=False).port, Port)
    port = spec.build(Timeline(), hop_id=3).port
    assert isinstance(port, Port)
    assert port.hop_id == 3


def test_elements_stand_in_their_order_around_the_queue() -> None:
    spec = read_link({"nat": "5s", "loss": "1%", "rate": "8mbit", "jitter": "1ms", "mtu": 1500})
    assert [place for place, _ in spec.before] == ["mtu", "loss"]
    assert [place for place, _ in spec.after] == ["jitter", "nat"]
    link = spec.build(Timeline())
    assert [sink.__self__ for sink in link.sinks] == [  # type: ignore[attr-defined]
        link.elements["mtu"], link.elements["loss"], link.port, link.elements["jitter"], link.elements["nat"]
    ]  # fmt: skip
    assert link.counters()["loss"] == {"dropped_packets": 0, "dropped_bytes": 0}


def test_a_list_of_elements_has_the_order_that_it_is_written_in() -> None:
    table = {"elements": [{"element": "loss", "p": 1}, {"element": "loss", "kind": "list", "packets": 1}]}
    link = read_link(table).build(Timeline())
    assert [type(element) for element in link.elements.values()] == [RandomLoss, DropList]


@pytest.mark.parametrize(
    ("rate", "kind", "rate_bps"),
    [
        ("schedule:0s=20mbit|5s=1mbit", ScheduledRate, 20_000_000),
        ({"kind": "schedule", "changes": [["0s", "9mbit"], ["5s", 0]], "period_s": 9}, ScheduledRate, 9_000_000),
        ("tbf:rate=5mbit,burst=10kB", TokenBucketRate, 5_000_000),
        ("unlimited", UnlimitedRate, 0),
    ],
)
def test_rates_are_made_by_name(rate: object, kind: type, rate_bps: int) -> None:
    link = read_link({"rate": rate}).build(Timeline())
    assert isinstance(link.port, Port)
    assert type(link.port.rate) is kind
    # Queues with a limit in time ask the port's rate for it.
    assert link.rate_bps == link.port.queue.rate_bps == rate_bps


def test_a_queue_is_written_as_everywhere() -> None:
    port = read_link({"rate": "8mbit", "queue": "codel:target=7ms", "limit_packets": 9}).build(Timeline()).port
    assert port is not None
    assert isinstance(port.queue, Codel)
    assert port.queue.limit_packets == 9
    alone = read_link({"rate": "8mbit", "queue": "droptail:limit=3packets"}).build(Timeline())
    assert isinstance(alone.port, FifoPort)
    usual = read_link({"rate": "8mbit", "queue": "red"}).build(Timeline()).port
    assert usual is not None
    assert isinstance(usual.queue, Red)
    assert usual.queue.limit_packets == 1000


def test_a_drop_tail_queue_gives_its_limits_to_the_plain_port() -> None:
    timeline = Timeline()
    link = read_link({"rate": "8mbit"}).build(timeline, queue=DropTail(limit_packets=2))
    assert isinstance(link.port, FifoPort)
    send(timeline, link.sinks, [(0, 1000)] * 5)
    assert link.port.queue.dropped_packets == 2
    in_time = read_link({"rate": "8mbit"}).build(timeline, queue=DropTail(limit_ns=5)).port
    assert isinstance(in_time, Port)


def test_a_trace_makes_a_port_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("1\n2\n")
    assert isinstance(read_link({"rate": f"trace:{tmp_path}/trace"}).build(Timeline()).port, TracePort)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rat": 5}, "a link has no 'rat'; is it rate?"),
        ({"rate": "fast"}, "rate: rate is a rate such as 20mbit, or a whole number of bits per second, not 'fast'"),
        ({"rate": 0}, "rate: rate is at least 1 bit/s, not 0"),
        ({"rate": "schedule:5s=1mbit"}, "rate: a schedule of rates begins at 0, such as 0 20mbit, 1s 5mbit"),
        ({"rate": "schedule:0s=0"},
         "rate: the last rate of a schedule without a period is above 0, or nothing ever leaves"),
        ({"rate": 5, "queue": "cdel"}, "queue: there is no kind 'cdel'; is it codel?"),
        ({"delay_hours": 1}, "link: link has no parameter 'delay_hours'; is it delay?"),
        ({"delay": "1 parsec"}, "link: delay is a time such as 20ms, or a whole number of nanoseconds, not '1 parsec'"),
        ({"elements": [{"kind": "ge"}]}, 'elements[0]: a table that names its element, such as element = "loss"'),
        ({"elements": 5}, "elements is a list of tables, not 5"),
    ],
)  # fmt: skip
def test_a_link_that_makes_no_sense_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(TransportError) as caught:
        read_link(table)
    assert str(caught.value) == message


def test_one_element_more_does_not_change_what_the_others_draw() -> None:
    arrivals = [(number * MS, 1000) for number in range(500)]
    timeline = Timeline()
    alone = send(timeline, read_link({"loss": "10%"}).build(timeline, seed=4).sinks, arrivals)
    timeline = Timeline()
    both = send(timeline, read_link({"loss": "10%", "jitter": "5ms"}).build(timeline, seed=4).sinks, arrivals)
    assert alone.numbers == both.numbers
    timeline = Timeline()
    before = send(timeline, read_link({"loss": "10%", "mtu": 1500}).build(timeline, seed=4).sinks, arrivals)
    assert alone.numbers == before.numbers
    timeline = Timeline()
    other = send(timeline, read_link({"loss": "10%"}).build(timeline, seed=5).sinks, arrivals)
    assert alone.numbers != other.numbers
