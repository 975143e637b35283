"""The points of a sweep, and what is refused before any of them runs."""

from __future__ import annotations

import pytest

from stacks.lab.experiment.sweeping import read_base, read_points
from stacks.runtime import LocalError
from stacks.runtime.toml_problems import ConfigurationError
from tests.stacks.lab.documents import PLAIN, document

SWEEP = PLAIN + """
[sweep]
"topology.buffer" = ["1bdp", "2bdp"]
flow.b.controller = ["reno", "cubic", "bbr3"]
"""


def test_the_grid_is_every_combination_the_last_dimension_fastest() -> None:
    points = read_points(document(SWEEP))
    assert [point.parameters for point in points] == [
        (("topology.buffer", buffer), ("flow.b.controller", name))
        for buffer in ("1bdp", "2bdp")
        for name in ("reno", "cubic", "bbr3")
    ]
    assert [point.experiment.flows[1].controller for point in points[:3]] == ["reno", "cubic", "bbr3"]
    assert points[3].experiment.topology.hops[0].forward.buffer.amount == 2000


def test_without_a_sweep_there_is_one_point() -> None:
    (point,) = read_points(document())
    assert point.parameters == ()


def test_settings_of_the_command_line_replace_those_of_the_document() -> None:
    points = read_points(document(SWEEP), ["topology.buffer=3bdp", "flow.*.initial_window=2,10"])
    assert len(points) == 6
    assert {point.experiment.flows[0].initial_window_packets for point in points} == {2, 10}
    assert {point.experiment.topology.hops[0].forward.buffer.amount for point in points} == {3000}


def test_cases_are_a_dimension_with_names() -> None:
    text = PLAIN + """
[[case]]
name = "small"
set = { "topology.buffer" = "0.5bdp", "flow.0.controller" = "bbr1" }
[[case]]
name = "plain"
"""
    points = read_points(document(text))
    assert [point.parameters for point in points] == [(("case", "small"),), (("case", "plain"),)]
    assert [point.experiment.flows[0].controller for point in points] == ["bbr1", "reno"]


def test_a_point_that_makes_no_sense_is_told_with_the_line_of_its_value() -> None:
    text = PLAIN + '\n[sweep]\n"topology.buffer" = ["1bdp",\n  "1B"]\n'
    with pytest.raises(ConfigurationError, match=r"^e\.toml:24: with topology\.buffer = 1B: buffer is 1 bytes here"):
        read_points(document(text))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("topolgy.buffer=1bdp", "there is no 'topolgy'; is it topology?"),
        ("flow.c.controller=reno", "there is no 'c'; there are: a, b"),
        ("flow.7.controller=reno", "there is no '7'"),
        ("seed", "--set is PATH=V1,V2"),
        ("seed=", "--set is PATH=V1,V2"),
        ("flow.a.controler=reno", "with flow.a.controler = reno: unknown key 'controler'; is it controller?"),
        ("seed=one", "with seed = one: seed is a whole number"),
        ("name.a.b=1", "no keys in name"),
        ("topology.polcer.rate=1Mbit/s", "unknown key 'polcer'; is it policer?"),
        ("topology.policer.rate=1Mbit/s", "burst"),
        ("topology.queue={kind=codel}", "queue"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, words: str) -> None:
    with pytest.raises(LocalError) as caught:
        read_points(document(), [setting])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        ["topology.policer.rate=5Mbit/s", "topology.policer.burst=20kB"],
        ['topology.policer={rate = "5Mbit/s", burst = "20kB"}'],
    ],
)
def test_a_table_can_be_set_by_its_keys_or_as_one(settings: list[str]) -> None:
    (point,) = read_points(document(), settings)
    in_file = PLAIN.replace('"1bdp"', '"1bdp"\npolicer = { rate = "5Mbit/s", burst = "20kB" }')
    assert point.experiment.topology.hops == read_points(document(in_file))[0].experiment.topology.hops


def test_commas_inside_of_brackets_and_quotes_divide_nothing() -> None:
    points = read_points(document(), ['metrics=["delay","loss"],["goodput"]', "title='a, b',c"])
    assert len(points) == 4
    assert points[0].experiment.metrics == ("delay", "loss")
    assert points[0].experiment.title == "a, b"


def test_what_is_swept_is_a_list() -> None:
    with pytest.raises(ConfigurationError, match=r"^e\.toml:23: what is swept is a list"):
        read_points(document(PLAIN + "\n[sweep]\nseed = 3\n"))


def test_the_experiment_as_it_stands_ignores_what_would_be_swept() -> None:
    point = read_base(document(SWEEP), ["seed=9"])
    assert point.parameters == (("seed", 9),)
    assert point.experiment.flows[1].controller == "cubic"
    with pytest.raises(LocalError, match="that is 2 runs"):
        read_base(document(SWEEP), ["seed=1,2"])
