"""Stores that fail on purpose: which requests do, how late the others are, and what a power cut leaves."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.nvme.stores import FaultyStore, MemoryStore, ReadOnlyStore, Store, StoreFault, open_store, parse_fault
from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE, WRITE_ZEROES
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import StoreContract, pattern, read, request_of

SIZE = 1 << 20


class TestFaultyStore(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return FaultyStore(MemoryStore(SIZE, block_bytes=block_bytes))


class TestFaultyStoreWithCache(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return FaultyStore(MemoryStore(SIZE, block_bytes=block_bytes), has_cache=True)


class TestFaultyStoreWithRulesThatDoNotFire(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        rules = [parse_fault("any:error=EIO,nth=100000"), parse_fault("any:delay=1ms,probability=0")]
        return FaultyStore(MemoryStore(SIZE, block_bytes=block_bytes), rules)


class TestFaultyStoreWithDelays(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return FaultyStore(MemoryStore(SIZE, block_bytes=block_bytes), [parse_fault("any:delay=1ms")])


def faulty(*rules: str, has_cache: bool = False) -> FaultyStore:
    return FaultyStore(MemoryStore(SIZE), [parse_fault(rule) for rule in rules], has_cache=has_cache, seed=7)


CALLS: dict[str, Callable[[Store, int], object]] = {
    "read": lambda store, block: read(store, block, 2),
    "write": lambda store, block: store.write(block, [memoryview(bytes(4096)), memoryview(bytes(4096))]),
    "flush": lambda store, block: store.flush(),
    "deallocate": lambda store, block: store.deallocate(block, 2),
    "write_zeroes": lambda store, block: store.write_zeroes(block, 2),
}


def failing(store: Store, block: int = 0) -> set[str]:
    """The verbs that fail now, at two blocks from `block` on."""
    failed = set()
    for name, call in CALLS.items():
        try:
            call(store, block)
        except OSError:
            failed.add(name)
    return failed


@pytest.mark.parametrize("verb", CALLS)
def test_a_rule_is_about_its_verb_alone(verb: str) -> None:
    assert failing(faulty(f"{verb}:error=EIO")) == {verb}


def test_a_rule_may_be_about_several_verbs_or_any() -> None:
    assert failing(faulty("read|flush:error=EIO")) == {"read", "flush"}
    assert failing(faulty("any:error=EIO")) == set(CALLS)


def test_blocks_narrow_a_rule_to_requests_that_touch_them() -> None:
    store = faulty("any:error=EIO,blocks=10..20")
    touched = {block for block in range(30) if "read" in failing(store, block)}
    assert touched == set(range(9, 21))
    assert failing(store, 10) == set(CALLS) - {"flush"}


def test_blocks_without_an_end_reach_the_last() -> None:
    store = faulty("read:error=EIO,blocks=10..")
    assert [block for block in (0, 8, 9, 200) if "read" in failing(store, block)] == [9, 200]


def test_a_fault_fires_as_often_as_its_count_says() -> None:
    store = faulty("read:error=EIO,count=2")
    assert [bool(failing(store)) for _ in range(4)] == [True, True, False, False]


def test_nth_and_every_choose_among_the_requests_that_match() -> None:
    store = faulty("read:error=EIO,nth=3..7,every=2")
    assert [bool(failing(store)) for _ in range(10)] == [index in (3, 5, 7) for index in range(1, 11)]


def test_chance_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def pattern_of(rule: str) -> list[bool]:
        store = faulty(rule)
        return [bool(failing(store)) for _ in range(60)]

    seen = pattern_of("read:error=EIO,probability=0.3,seed=5")
    assert 5 < sum(seen) < 35
    assert seen == pattern_of("read:error=EIO,probability=0.3,seed=5")
    assert seen != pattern_of("read:error=EIO,probability=0.3,seed=6")


@pytest.mark.parametrize(("name", "number"), [("EIO", errno.EIO), ("ENOSPC", errno.ENOSPC), ("EAGAIN", errno.EAGAIN)])
def test_the_error_is_the_errno_that_the_rule_names(name: str, number: int) -> None:
    store = faulty(f"write:error={name}")
    with pytest.raises(OSError, match="on purpose") as caught:
        store.write(0, [memoryview(bytes(4096))])
    assert caught.value.errno == number


def test_a_failed_write_leaves_the_blocks_as_they_were() -> None:
    store = faulty()
    data = pattern(store, 2)
    store.write(0, [memoryview(data)])
    store.add(parse_fault("write|write_zeroes|deallocate:error=EIO"))
    assert failing(store) == {"write", "write_zeroes", "deallocate"}
    assert read(store, 0, 2) == data


def test_rules_come_and_go_while_the_store_is_in_use() -> None:
    store = faulty()
    assert failing(store) == set()
    store.add(parse_fault("read:error=EIO"))
    store.add(parse_fault("write:error=EIO"))
    assert failing(store) == {"read", "write"}
    store.clear()
    assert failing(store) == set()


def test_what_was_done_on_purpose_is_counted() -> None:
    store = faulty("read:error=EIO,nth=2", "any:delay=1ms,count=1")
    for _ in range(3):
        store.delay_ns(request_of(store, READ))
        failing(store)
    report = store.report()
    assert [(rule.number, rule.text, rule.matched, rule.fired) for rule in report.rules] == [
        (1, "read:error=EIO,nth=2", 3, 1),
        (2, "any:delay=1ms,count=1", 3, 1),
    ]
    assert (report.errors, report.delays, report.power_cuts) == (1, 1, 0)
    store.clear()
    assert (store.report().rules, store.report().errors) == ((), 1)


def test_delays_of_all_rules_that_are_about_a_request_add_up() -> None:
    store = faulty("read:delay=1ms", "any:delay=20us", "flush:delay=1s", "read:delay=5s,blocks=6..9")
    request = request_of(store, READ)
    assert store.delay_ns(request) == 1_020_000
    request.block = 3
    assert store.delay_ns(request) == 5_001_020_000
    assert store.delay_ns(request_of(store, FLUSH)) == 1_000_020_000
    assert [store.delay_ns(request_of(store, verb)) for verb in (WRITE, DEALLOCATE, WRITE_ZEROES)] == [20_000] * 3


def test_a_write_with_fua_is_as_late_as_the_flush_that_it_brings() -> None:
    store = faulty("flush:delay=1s")
    request = request_of(store, WRITE)
    assert store.delay_ns(request) == 0
    request.is_fua = True
    assert store.delay_ns(request) == 10**9


def test_a_deallocation_is_late_when_one_of_its_ranges_is_touched() -> None:
    store = faulty("deallocate:delay=1s,blocks=50")
    request = request_of(store, DEALLOCATE)
    request.ranges = [(0, 10), (60, 5)]
    assert store.delay_ns(request) == 0
    request.ranges = [(0, 10), (45, 6)]
    assert store.delay_ns(request) == 10**9


def test_blocks_that_a_rule_is_about_are_not_shown_without_reading_them() -> None:
    store = faulty("read:error=EIO,blocks=10..20", "write:error=EIO")
    assert store.view(10, 1) is None
    assert store.view(5, 6) is None
    assert store.view(0, 10) == bytes(10 * 4096)
    store.clear()
    assert store.view(10, 1) == bytes(4096)


def test_a_wrapper_around_a_faulty_store_has_its_delays_and_views() -> None:
    store = ReadOnlyStore(faulty("read:delay=1ms,blocks=0..3"))
    assert store.has_delays
    assert store.delay_ns(request_of(store, READ)) == 1_000_000
    assert store.view(0, 1) is None
    assert store.view(4, 1) == bytes(4096)


def test_a_power_cut_loses_or_tears_only_what_was_not_flushed() -> None:
    store = faulty(has_cache=True)
    store.write(0, [memoryview(b"f" * 4096 * 8)])
    store.flush()
    for block in range(8, 72, 8):
        store.write(block, [memoryview(b"u" * 4096 * 8)])
    store.power_cut()
    assert read(store, 0, 8) == b"f" * 4096 * 8
    assert 0 < read(store, 8, 64).count(b"u" * 4096) < 64
    report = store.report()
    assert (report.power_cuts, report.dropped + report.torn) == (1, 8)
    assert report.dropped
    assert report.torn


def test_a_flush_that_fails_on_purpose_makes_nothing_durable() -> None:
    store = faulty("flush:error=EIO,count=1", has_cache=True)
    store.write(0, [memoryview(b"u" * 4096 * 200)])
    assert failing(store, 250) == {"flush"}
    store.power_cut()
    assert read(store, 0, 200) != b"u" * 4096 * 200


def test_without_a_cache_there_is_nothing_to_cut() -> None:
    with pytest.raises(LocalError, match="no cache"):
        faulty().power_cut()


def test_closing_brings_a_cache_to_the_medium_in_spite_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SIZE))
    store = FaultyStore(open_store(str(path)), [parse_fault("any:error=EIO")], has_cache=True)
    store.clear()
    store.write(1, [memoryview(b"k" * 4096)])
    store.add(parse_fault("any:error=EIO"))
    store.close()
    assert path.read_bytes()[4096:8192] == b"k" * 4096


ROUND_TRIPS = [
    "read:error=EIO",
    "any:delay=5ms",
    "read|write:error=ENOSPC,blocks=5,count=3",
    "flush:delay=1500us,nth=2..5,every=2",
    "deallocate|write_zeroes:error=EROFS,blocks=100..200,probability=0.25,seed=9",
    "write:delay=7ns,blocks=8..,nth=4..",
]


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_a_rule_is_its_text(text: str) -> None:
    assert str(parse_fault(text)) == text


def test_a_rule_may_be_typed_in_other_ways() -> None:
    assert parse_fault("read:error=EIO:blocks=100-200:count=3") == parse_fault("read:error=EIO,blocks=100..200,count=3")
    assert parse_fault("read: delay=1000000 , count=1") == parse_fault("read:delay=1ms,count=1")
    assert parse_fault("read|write|flush|deallocate|write_zeroes:error=EIO") == parse_fault("any:error=EIO")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no verb; there are: read, write, flush, deallocate, write_zeroes, any"),
        ("verify:error=EIO", "'verify' is no verb"),
        ("read", "an error or a delay, and not both"),
        ("read:error=EIO,delay=1ms", "an error or a delay, and not both"),
        ("read:error=EWHAT", "name of an errno, such as EIO or ENOSPC, not 'EWHAT'"),
        ("read:error=5", "name of an errno"),
        ("read:error=errorcode", "name of an errno"),
        ("read:delay=soon", "delay is a time such as 5ms"),
        ("read:delay=0", "delay is a time such as 5ms"),
        ("read:error=EIO,blocks=x", "blocks is a number, a range 2..5"),
        ("read:error=EIO,blocks=9..5", "blocks does not run backwards"),
        ("flush:error=EIO,blocks=9", "a flush has none"),
        ("read:error=EIO,nth=0", "nth counts from 1"),
        ("read:error=EIO,every=0", "every is at least 1"),
        ("read:error=EIO,count=0", "count is at least 1"),
        ("read:error=EIO,count=-1", "count is a whole number"),
        ("read:error=EIO,probability=2", "probability is from 0 to 1"),
        ("read:error=EIO,probability=often", "probability is a number from 0 to 1"),
        ("read:error=EIO,error=EIO", "error is given twice"),
        ("read:EIO", "'EIO' is no KEY=VALUE; a fault is written like read:error=EIO"),
        ("read:error=EIO,lba=5", "unknown key 'lba'; there are: error, delay, blocks"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        parse_fault(text)


def test_values_that_make_no_sense_are_refused_from_python_too() -> None:
    for values in ({"error": 99999}, {"delay_ns": -5}, {"verbs": frozenset(), "error": 5}):
        with pytest.raises(LocalError):
            StoreFault(**{"verbs": frozenset((READ,)), **values})  # type: ignore[arg-type]


def test_random_text_is_a_rule_or_a_local_error() -> None:
    rng = random.Random(1)
    alphabet = ["read", "any", "|", ":", ",", "=", "error", "EIO", "blocks", "..", "5", "-", "count", "é", " ", "1e9"]
    for _ in range(3000):
        text = "".join(alphabet[int(rng.random() * len(alphabet))] for _ in range(int(rng.random() * 9)))
        try:
            rule = parse_fault(text)
        except LocalError:
            continue
        assert parse_fault(str(rule)) == rule
