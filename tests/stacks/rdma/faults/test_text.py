"""Rules as text and as Python values: what is read, what is refused and in which words."""

from __future__ import annotations

import pytest

from stacks.rdma.faults import Direction, FaultAction, FaultRule, Icrc, PsnRange, fault, parse_rule
from stacks.rdma.faults.names import OPCODE_GROUPS, kind_of, packet_kinds
from stacks.rdma.faults.text import KEYS, rule_text
from stacks.runtime import LocalError
from wire.roce import Opcode

RULES = {
    "drop": FaultRule(action=FaultAction.DROP),
    "drop:psn=5,opcode=RC_SEND_ONLY,nth=2": FaultRule(
        action=FaultAction.DROP, opcode=("RC_SEND_ONLY",), psn=PsnRange(5), nth=(2, 2)
    ),
    "duplicate:direction=rx,qp=17,copies=3": FaultRule(
        action=FaultAction.DUPLICATE, direction=Direction.RX, qp=17, copies=3
    ),
    "reorder:psn=+5..9,packets=2,delay=5000": FaultRule(
        action=FaultAction.REORDER, psn=PsnRange(5, 9, is_relative=True), packets=2, delay_ns=5000
    ),
    "corrupt:opcode=nak|send,every=3,byte=-6,bit=7,icrc=right": FaultRule(
        action=FaultAction.CORRUPT, opcode=("nak", "send"), every=3, byte=-6, bit=7, icrc=Icrc.RIGHT
    ),
    "delay:nth=2..,probability=0.25,seed=9,delay=2000000": FaultRule(
        action=FaultAction.DELAY, nth=(2, None), probability=0.25, seed=9, delay_ns=2_000_000
    ),
    "mark:dest_qp=1,nth=2..4": FaultRule(action=FaultAction.MARK, dest_qp=1, nth=(2, 4)),
}

REFUSED = {
    "dropp": "action is one of drop, duplicate, reorder, corrupt, delay, mark, not 'dropp'",
    "drop:op=send": "unknown key 'op'; there are: direction, qp",
    "drop:send": "'send' is no KEY=VALUE; a fault is written like drop:opcode=RC_SEND_ONLY,nth=2",
    "drop:qp=1,qp=2": "qp is given twice",
    "drop:direction=up": "direction is one of tx, rx, not 'up'",
    "drop:opcode=RC_SEND_ONLI": "did you mean RC_SEND_ONLY? an opcode is a name such as",
    "drop:psn=soon": "psn is a number, a range 5..9, or counted from the QP's first PSN: +5, +5..9; not 'soon'",
    "drop:psn=16777216": "a PSN is 0 to 16777215, not 16777216",
    "drop:nth=0": "nth counts from 1 and does not run backwards",
    "drop:nth=5..2": "nth counts from 1 and does not run backwards",
    "drop:nth=second": "nth is a number, a range 2..5, or 2.. for all from the second on",
    "drop:every=0": "every is at least 1",
    "drop:qp=many": "qp is a whole number, not 'many'",
    "drop:qp=16777216": "a QP number has 24 bits",
    "drop:probability=1.5": "probability is from 0 to 1",
    "drop:probability=often": "probability is a number from 0 to 1, not 'often'",
    "drop:delay=2ms": "delay is for delay and reorder, not for drop",
    "delay:byte=3": "byte is for corrupt, not for delay",
    "delay:delay=soon": "delay is a time such as 1ms, 500us or 2s",
    "duplicate:copies=0": "copies is at least 1",
    "duplicate:copies=65": "copies is at most 64",
    "corrupt:bit=8": "bit is 0 to 7",
    "corrupt:icrc=maybe": "icrc is one of wrong, right, not 'maybe'",
    "corrupt:byte=-2,icrc=right": "icrc=right makes a corrupt byte of the ICRC right again",
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_is_read_from_its_compact_form_and_written_as_it_was(text: str) -> None:
    rule = parse_rule(text)
    assert rule == RULES[text]
    assert rule_text(rule) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_makes_no_sense_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(LocalError) as refusal:
        parse_rule(text)
    assert REFUSED[text] in str(refusal.value)


def test_a_rule_in_python_takes_the_same_keys_with_numbers_and_lists() -> None:
    rule = fault("drop", opcode=["RC_SEND_ONLY", "nak"], psn=5, nth=2, direction="tx")
    assert rule == parse_rule("drop:opcode=RC_SEND_ONLY|nak,psn=5,nth=2,direction=tx")


def test_times_are_read_in_their_units() -> None:
    times = {"7": 7, "7ns": 7, "1.5us": 1500, "2ms": 2_000_000, "1s": 1_000_000_000}
    assert {text: fault("delay", delay=text).delay_ns for text in times} == times


def test_numbers_may_be_hexadecimal() -> None:
    assert parse_rule("drop:qp=0x11,psn=0xfffffe..0x1") == fault("drop", qp=17, psn="16777214..1")


def test_every_key_is_documented() -> None:
    documented = parse_rule.__globals__["__doc__"]
    assert all(key in documented for key in KEYS)


def test_every_opcode_has_its_name_with_and_without_the_transport() -> None:
    for opcode in Opcode:
        assert opcode in {kind & 0xFF for kind in packet_kinds([opcode.name])}
    assert packet_kinds(["SEND_ONLY"]) == {0x04, 0x24, 0x64, 0xA4}


def test_an_acknowledge_is_an_ack_a_nak_or_an_rnr_nak_by_its_syndrome() -> None:
    kinds = {name: kind_of(Opcode.RC_ACKNOWLEDGE, syndrome) for name, syndrome in
             (("ack", 0x1F), ("rnr", 0x26), ("nak", 0x60))}  # fmt: skip
    for name, kind in kinds.items():
        assert [group for group in ("ack", "rnr", "nak") if kind in OPCODE_GROUPS[group]] == [name]
        assert kind in packet_kinds(["rc_acknowledge"])


def test_the_syndrome_of_other_packets_says_nothing() -> None:
    assert kind_of(Opcode.RC_SEND_ONLY, 0x60) == Opcode.RC_SEND_ONLY


def test_groups_divide_requests_from_responses() -> None:
    assert not OPCODE_GROUPS["request"] & OPCODE_GROUPS["response"]
    assert OPCODE_GROUPS["data"] >= OPCODE_GROUPS["send"] | OPCODE_GROUPS["write"] | OPCODE_GROUPS["read_response"]


def test_a_range_of_psns_may_wrap() -> None:
    psns = PsnRange(0xFFFFFE, 1)
    assert [psn for psn in (0xFFFFFD, 0xFFFFFE, 0xFFFFFF, 0, 1, 2) if psns.holds(psn)] == [0xFFFFFE, 0xFFFFFF, 0, 1]
