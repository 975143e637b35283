"""Plans in files: what is read, and that a mistake is named with its line."""

from __future__ import annotations

import pytest

from stacks.rdma.faults import FaultPlan, fault, load_plan
from stacks.runtime import LocalError

PLAN = """\
# What a bad cable does.
seed = 7

[[fault]]
action = "drop"
opcode = ["RC_SEND_ONLY", "nak"]
psn = "+5..9"
nth = 2

[[fault]]
action = "delay"
delay = "2ms"
probability = 0.1
"""


def test_a_plan_is_read_from_a_file() -> None:
    assert load_plan(PLAN) == FaultPlan(
        (
            fault("drop", opcode=["RC_SEND_ONLY", "nak"], psn="+5..9", nth=2),
            fault("delay", delay="2ms", probability=0.1),
        ),
        seed=7,
    )


def test_an_empty_file_is_a_plan_without_rules() -> None:
    assert load_plan("") == FaultPlan()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('psn = "+5..9"', 'psn = "soon"', "bad.toml:7: psn is a number"),
        ('"RC_SEND_ONLY", "nak"', '"RC_SEND_ONLI"', "bad.toml:6: unknown opcode 'RC_SEND_ONLI'; did you mean"),
        ('delay = "2ms"', 'delays = "2ms"', "bad.toml:12: unknown key 'delays'; there are: direction"),
        ("probability = 0.1", "probability = 2", "bad.toml:13: probability is from 0 to 1"),
        ('action = "delay"', 'action = "slow"', "bad.toml:11: action is one of drop, duplicate"),
        ('action = "delay"\n', "", "bad.toml:10: a fault needs an action"),
        ('action = "drop"', 'action = "delay"\nbit = 3', "bad.toml:6: bit is for corrupt, not for delay"),
        ("seed = 7", 'seed = "x"', "bad.toml:2: seed is a whole number"),
        ("seed = 7", "sed = 7", "bad.toml:2: unknown key 'sed'; a plan has seed, and [[fault]] tables"),
        ("nth = 2", "nth = ", "bad.toml:8: invalid value"),
        ("nth = 2", "nth = 2\nnth = 3", "bad.toml:9: this key or table is there already"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_its_place_and_what_is_allowed(old: str, new: str, words: str) -> None:
    with pytest.raises(LocalError) as refusal:
        load_plan(PLAN.replace(old, new), "bad.toml")
    assert str(refusal.value).startswith(words), refusal.value
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ['[fault]\naction = "drop"', "fault = 3", "fault = [1]"])
def test_a_fault_that_is_no_table_of_tables_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match=r"\[\[fault\]\]"):
        load_plan(text)


def test_keys_that_do_not_go_together_are_refused_at_the_start_of_their_fault() -> None:
    with pytest.raises(LocalError, match="plan:2: icrc=right makes"):
        load_plan('\n[[fault]]\naction = "corrupt"\nbyte = -1\nicrc = "right"')
