"""Which packets a rule picks: numbers, ranges, occurrences, chance; and the account of it."""

from __future__ import annotations

import json

import pytest

from stacks.rdma import FaultPlan, QpType, WrOpcode, fault
from stacks.rdma.faults import Hit
from stacks.rdma.faults.report import report_from_json
from tests.stacks.rdma.faults.test_actions import MESSAGE, FaultyRig


def fired_at(rig: FaultyRig) -> list[int]:
    """The PSNs that were hit, counted from the writer's first."""
    return [(hit.psn - rig.psn_of(rig.left)) & 0xFFFFFF for hit in rig.report.hits]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mark:opcode=write", list(range(10))),
        ("mark:opcode=write,nth=3", [2]),
        ("mark:opcode=write,nth=3..5", [2, 3, 4]),
        ("mark:opcode=write,nth=8..", [7, 8, 9]),
        ("mark:opcode=write,every=4", [0, 4, 8]),
        ("mark:opcode=write,nth=2..,every=4", [1, 5, 9]),
        ("mark:opcode=write_first|write_last", [0, 9]),
        ("mark:psn=+3..5,direction=tx", [3, 4, 5]),
        ("mark:psn=0xfffff2..0xfffff4,direction=tx", [2, 3, 4]),
        ("mark:opcode=ack,psn=+9,direction=rx", [9]),
        ("mark:opcode=ack,direction=tx", []),
        ("mark:opcode=uc", []),
        ("mark:qp=5", []),
    ],
)
def test_a_rule_picks_what_it_describes(rule: str, expected: list[int]) -> None:
    rig = FaultyRig(rule)
    rig.write()
    assert fired_at(rig) == expected


def test_a_rule_can_name_the_own_queue_pair_or_the_one_in_the_packet() -> None:
    for key, is_own in (("qp", True), ("dest_qp", False)):
        rig = FaultyRig()
        number = (rig.left if is_own else rig.right).qp.number
        rig.injector.add(fault("mark", direction="tx", **{key: number}))
        rig.write()
        assert fired_at(rig) == list(range(10))


def test_requests_and_responses_of_a_queue_pair_have_first_psns_of_their_own() -> None:
    rig = FaultyRig("mark:psn=+0,direction=tx")
    rig.write()
    rig.right.send(2, WrOpcode.RDMA_WRITE, 0, 10, remote_address=rig.left.mr.address, rkey=rig.left.mr.rkey)
    rig.run()
    assert [(hit.opcode, hit.psn) for hit in rig.report.hits] == [
        ("RC_WRITE_FIRST", rig.psn_of(rig.left)),
        ("RC_ACKNOWLEDGE", rig.psn_of(rig.right)),
    ]


def test_chance_is_the_seeds() -> None:
    hits = []
    for seed in (1, 1, 2):
        rig = FaultyRig("mark:opcode=write,probability=0.5", "mark:opcode=write,probability=0.5", seed=seed)
        rig.write(MESSAGE * 4)
        hits.append([(hit.time_ns, hit.rule, hit.psn) for hit in rig.report.hits])
    assert hits[0] == hits[1] != hits[2]
    first, second = ([psn for _, rule, psn in hits[0] if rule == number] for number in (1, 2))
    assert first != second
    assert 5 < len(first) < 35


def test_a_rules_own_seed_counts_more_than_the_plans() -> None:
    hits = []
    for seed in (1, 2):
        rig = FaultyRig("mark:opcode=write,probability=0.5,seed=3", seed=seed)
        rig.write(MESSAGE * 4)
        hits.append(fired_at(rig))
    assert hits[0] == hits[1]


def test_a_report_names_the_rules_that_never_fired() -> None:
    rig = FaultyRig("drop:opcode=write,nth=50", "mark:opcode=write,nth=1")
    rig.write()
    assert [(rule.number, rule.matched, rule.fired) for rule in rig.report.rules] == [(1, 10, 0), (2, 10, 1)]
    assert [rule.number for rule in rig.report.never_fired] == [1]
    lines = list(rig.report.lines())
    assert lines[-1] == "rule 1 never fired (10 packets matched): drop:opcode=write,nth=50"
    assert "tx rule 2 mark RC_WRITE_FIRST psn" in lines[0]


def test_a_report_goes_through_json_and_back() -> None:
    rig = FaultyRig("mark:opcode=write,nth=1..3", "drop:opcode=cnp")
    rig.write()
    document = json.loads(json.dumps(rig.report.as_json()))
    assert report_from_json(document) == rig.report
    assert document["never_fired"] == [2]
    assert document["hits"][0]["peer"] == rig.right.device.address[0]


@pytest.mark.parametrize("wrong", [{"rules": 1}, {"rules": [1]}, {"hits": [1]}, {"unlisted": "none"}])
def test_what_is_no_report_is_not_taken_for_one(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        report_from_json({"rules": [], "hits": [], "unlisted": 0} | wrong)  # type: ignore[arg-type]


def test_hits_beyond_a_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.rdma.faults.injector.MAX_HITS", 3)
    rig = FaultyRig("mark:opcode=write")
    rig.write()
    assert (len(rig.report.hits), rig.report.unlisted) == (3, 7)
    assert "and 7 more" in list(rig.report.lines())


def test_rules_may_be_added_and_cleared_while_packets_flow() -> None:
    rig = FaultyRig()
    rig.write()
    assert rig.report.hits == ()
    assert rig.injector.add(fault("mark", opcode="write")) == 1
    rig.left.completions.clear()
    rig.write()
    assert len(rig.report.hits) == 10
    rig.injector.clear()
    assert rig.injector.plan == FaultPlan()
    rig.left.completions.clear()
    rig.write()
    assert rig.report.hits == ()


def test_attaching_again_replaces_the_plan_of_the_same_injector() -> None:
    rig = FaultyRig("mark:opcode=write")
    again = rig.left.device.attach(FaultPlan((fault("drop", opcode="nak"),)))
    assert again is rig.injector is rig.left.device.faults
    assert again.plan.rules == (fault("drop", opcode="nak"),)


def test_a_device_has_no_injector_before_it_is_given_a_plan() -> None:
    assert FaultyRig("mark").right.device.faults is None


def test_a_hit_says_when_it_was() -> None:
    rig = FaultyRig("mark:opcode=ack,direction=rx")
    rig.write()
    (hit,) = rig.report.hits
    assert isinstance(hit, Hit)
    assert 20_000 <= hit.time_ns < 1_000_000


def test_an_unreliable_send_that_was_taken_apart_completes() -> None:
    rig = FaultyRig("drop:opcode=send,nth=2", qp_type=QpType.UC)
    rig.left.send(1, WrOpcode.SEND, 0, 5000)
    rig.run_until_completed(rig.left, 1)
    assert [hit.opcode for hit in rig.report.hits] == ["UC_SEND_MIDDLE"]
