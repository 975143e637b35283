"""The same word has the same colour in every picture, whatever else is in it."""

from __future__ import annotations

from apps.lab.drawing import draw
from apps.pictures.colours import CONTROLLERS, STATES, controller_colour, state_colour
from stacks.congestion.bbr3.machine import State
from stacks.lab.results.keeping import Kept
from stacks.lab.runners.virtual import VirtualRunner
from tests.stacks.lab.documents import changed, experiment


def picture(text: str) -> str:
    record = VirtualRunner().run(experiment(text), lambda _: None)
    return draw(Kept(record, {"name": "x", "experiment": {"warmup_ns": 1_000_000_000}}), (), ".svg").decode()


def test_states_that_are_seen_together_have_different_colours_which_do_not_depend_on_their_order() -> None:
    bbr = [state.value for state in State]
    assert len({state_colour(each) for each in bbr}) == len(bbr)
    loss_based = ["slow start", "congestion avoidance", "recovery", "reduction", "loss", "conservative slow start"]
    assert len({state_colour(each) for each in [*bbr, *loss_based]}) == len(bbr) + len(loss_based)
    first, second = picture(changed('"reno"', '"bbr3"')), picture(changed('"cubic"', '"bbr3"'))
    for state in ("ProbeBW_CRUISE", "slow start"):
        assert state in first
        assert state in second
        assert STATES[state] in first
        assert STATES[state] in second


def test_controllers_that_are_known_have_colours_of_their_own_and_others_always_the_same() -> None:
    assert len(set(CONTROLLERS.values())) == len(CONTROLLERS)
    assert controller_colour("mine.py:Mine") == controller_colour("mine.py:Mine")
    assert controller_colour("bbr3") == CONTROLLERS["bbr3"]


def test_the_warm_up_is_shaded_and_a_peak_that_is_cut_off_is_told() -> None:
    text = picture(changed('"reno"', '"bbr3"'))
    assert "tables and metrics leave out what is shaded" in text
    assert "#eceff2" in text
    assert "highest" in text
