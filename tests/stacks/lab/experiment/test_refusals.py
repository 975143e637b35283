"""An experiment that makes no sense is refused with its line and the reason, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.runtime.toml_problems import ConfigurationError
from tests.stacks.lab.documents import PLAIN, changed, document, experiment

WEB = "[[traffic]]\nkind = 'web'\ncontroller = 'reno'\nrate = '1Mbit/s'\nsizes = "
BAD = [
    ('duration = "4s"', "duration = 4", 2, 'duration is a time such as "40ms", not 4'),
    ('duration = "4s"', 'duration = "0s"', 2, "duration is more than no time"),
    ('duration = "4s"', "", 1, 'the experiment needs duration, such as duration = "30s"'),
    ('name = "plain"', 'name = "a/b"', 1, "name is a word of letters"),
    ("seed = 1", "seed = -1", 4, "seed is a whole number from 0"),
    ("seed = 1", "seeds = 1", 4, "unknown key 'seeds'; is it seed?"),
    ("seed = 1", "packet = 10", 4, "packet is a whole number from 64"),
    ("seed = 1", 'metrics = ["delai"]', 4, "each of metrics is not 'delai'; is it delay?"),
    ('sample = "20ms"', 'sample = "1us"', 5, 'samples of each flow; say sample = "1s"'),
    ('warmup = "1s"', 'warmup = "4s"', 3, "warmup ends before the experiment does"),
    ("[topology]", "[topologie]", 7, "unknown key 'topologie'; is it topology?"),
    ('kind = "dumbbell"', 'kind = "dumbell"', 8, "kind is not 'dumbell'; is it dumbbell?"),
    ('kind = "dumbbell"', "kind = 3", 8, "kind is not 3; there are"),
    ('rate = "10Mbit/s"', 'rate = "10MB"', 9, "rate is a rate such as"),
    ('rate = "10Mbit/s"', 'rate = "-10Mbit/s"', 9, "rate is not negative"),
    ('rate = "10Mbit/s"', "", 7, "topology needs rate"),
    ('rtt = "20ms"', 'rtt = "20ms"\ndelay = "10ms"', 10, "rtt and delay say the same thing"),
    ('rtt = "20ms"', "", 7, "topology needs delay"),
    ('buffer = "1bdp"', 'buffer = "1000B"', 11, "buffer is 1000 bytes here, less than one packet of 1500"),
    ('buffer = "1bdp"', 'buffer = "0.01bdp"', 11, "buffer is 250 bytes here"),
    ('buffer = "1bdp"', 'loss = "110%"', 11, "loss: p is a probability from 0 to 1"),
    ('buffer = "1bdp"', 'loss = { kind = "gee", p = 0.1 }', 11, "loss: there is no kind 'gee'; is it ge?"),
    ('buffer = "1bdp"', 'los = "1%"', 11, "unknown key 'los'; is it loss?"),
    ('buffer = "1bdp"', 'policer = { rate = "5mbit" }', 11, "policer: burst is needed"),
    ('rate = "10Mbit/s"', 'rate = { kind = "trace", file = "no.trace" }', 9, "no.trace"),
    ('rate = "10Mbit/s"', 'rate = { kind = "schedule", changes = "0s=fast" }', 9, "rate: changes"),
    ('buffer = "1bdp"', '[topology.back]\nbuffer = "1bdp"', 11, "only a link with a rate has a queue"),
    ('buffer = "1bdp"', 'queue = "cake"', 11, "queue: there is no kind 'cake'; there are: droptail"),
    ('buffer = "1bdp"', 'queue = { kind = "codel", target = "soon" }', 11, "queue: target is a time such as 20ms"),
    ('buffer = "1bdp"', "queue = 3", 11, "queue: a kind, such as codel"),
    ('[[flow]]\nname = "a"', '[flow]\nname = "a"', 17, "several are each in [[double brackets]]"),
    ('controller = "reno"', 'controller = "renoo"', 15, "no congestion controller is called 'renoo'; is it reno"),
    ('controller = "reno"', "controller = 3", 15, "controller is text in quotes"),
    ('controller = "reno"', "", 13, "flow needs controller"),
    ('controller = "reno"', 'controller = "mine.py:Mine"', 15, "mine.py: no such file"),
    ('controller = "reno"', 'controller = "mine.py"', 15, "name the class in it as well"),
    ('controller = "reno"', 'controller = "reno"\nsender = "modell"', 16, "sender is not 'modell'; is it model?"),
    ('controller = "reno"', 'controller = "reno"\nsender = "linux"', 16, "names the kernel's algorithm as well"),
    ('controller = "reno"', 'controller = "reno"\ncount = 0', 16, "count is a whole number from 1"),
    ('controller = "reno"', 'controller = "reno"\nfrom = 2', 16, "there is no node 2: this topology has 0 to 1"),
    ('controller = "reno"', 'controller = "reno"\nfrom = 1', 13, "a has no path: it goes from node 1 to itself"),
    ('controller = "reno"', 'controller = "reno"\nsize = "-1MB"', 16, "size is not negative"),
    ('controller = "reno"', 'controller = "reno"\nsize = "1MB"\nrate = "1Mbit/s"', 17, "a size or a rate"),
    ('controller = "reno"', 'controller = "reno"\nrtt = "10ms"', 16, "rtt is less than the 20 ms"),
    ('controller = "reno"', 'controller = "reno"\ncount = 9\nspacing = "1s"', 17, "the last a might start when"),
    ('start = "500ms"', '[[traffic]]\nkind = "constant"', 20, "cross traffic needs rate"),
    ('start = "500ms"', '[[traffic]]\nkind = "bursts"\nrate = "1Mbit/s"', 21, "kind is not 'bursts'; there are"),
    ('start = "500ms"', '[[traffic]]\nkind = "on-off"\nrate = "1Mbit/s"\non = "1s"', 20, "cross traffic needs off"),
    ('start = "500ms"', '[[traffic]]\nkind = "constant"\nrate = "1Mbit/s"\non = "1s"', 23, "on says nothing of"),
    ('start = "500ms"', '[[traffic]]\nkind = "web"\nrate = "1Mbit/s"\nsizes = "1MB"', 20, "needs controller"),
    ('start = "500ms"', f"{WEB}'web-serch'", 24, "sizes is not 'web-serch'; is it web-search?"),
    ('start = "500ms"', f"{WEB}'1B'", 23, "flows of 1 bytes; there are at most 200,000"),
    ('start = "500ms"', 'start = "4s"', 20, "b would start when the experiment is over"),
    ('start = "500ms"', 'start = "2s"\nstop = "1s"', 21, "b would stop before it starts"),
    ('name = "b"', 'name = "a"', 18, "a is the name of another already"),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), BAD)
def test_it_is_refused_with_line_and_reason(old: str, new: str, line: int, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        experiment(changed(old, new), folder=tmp_path)
    lines = caught.value.lines
    assert any(text.startswith(f"e.toml:{line}: ") and reason in text for text in lines), lines


def test_every_mistake_is_told_at_once() -> None:
    text = changed("seed = 1", "seed = 'x'").replace('rtt = "20ms"', "rtt = 20").replace('"cubic"', '"cubick"')
    with pytest.raises(ConfigurationError) as caught:
        experiment(text)
    assert [problem.line for problem in caught.value.problems] == [4, 10, 19]


def test_what_is_no_toml_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigurationError, match=r"^e\.toml:3: "):
        document("a = 1\nb = 2\nc = = 3\n")


def test_nobody_to_send_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nobody sends anything"):
        experiment(PLAIN.partition("[[flow]]")[0])


def test_the_plain_document_is_an_experiment() -> None:
    made = experiment()
    assert made.duration_ns == 4_000_000_000
    assert made.topology.rtt_ns == 20_000_000
    assert [flow.name for flow in made.flows] == ["a", "b"]
    assert made.flows[1].start_ns == 500_000_000
