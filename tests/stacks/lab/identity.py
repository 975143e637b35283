"""Runs whose outcome is the same on every machine and Python version, and what that outcome is.

`python -m tests.stacks.lab.identity` prints a digest of each run; `--write` puts them into identity.json, which is
right after a change that is meant to change outcomes, and never otherwise. It needs nothing but the standard library,
so that any interpreter can be asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stacks.congestion import CONTROLLERS
from stacks.lab.experiment.reading import parse_document, read_experiment
from stacks.lab.experiment.values import Experiment
from stacks.lab.runners.virtual import VirtualRunner
from transports.link.disciplines import DISCIPLINES

KEPT = Path(__file__).with_name("identity.json")

TEXT = """\
name = "identity"
duration = "3s"
seed = 7
sample = "50ms"

[topology]
kind = "dumbbell"
rate = "10Mbit/s"
rtt = "30ms"
buffer = "1bdp"
{link}

[[flow]]
name = "first"
controller = "{controller}"

[[flow]]
name = "second"
controller = "{controller}"
start = "300ms"
"""
QUEUES = {"priority": '{kind = "priority", queues = ["codel", "droptail"]}'}
"""Of those that a name alone does not describe."""
ELEMENTS = {
    "loss": 'loss = {kind = "random", p = 0.01}',
    "bursts": 'loss = {kind = "gilbert-elliott", p = 0.01, r = 0.3}',
    "jitter": 'jitter = {kind = "normal", mean = "3ms", deviation = "1ms"}',
    "reordering": 'reordering = {kind = "delay", p = 0.01, delay = "4ms"}',
    "duplication": "duplication = {p = 0.01}",
    "corruption": "corruption = {p = 0.01}",
}


def experiments() -> dict[str, Experiment]:
    """By name: each controller on a plain link, each discipline and each element under one controller."""
    texts = {f"controller {name}": TEXT.format(link="", controller=name) for name in CONTROLLERS}
    for queue in DISCIPLINES:
        value = QUEUES.get(queue, f'"{queue}"')
        texts[f"queue {queue}"] = TEXT.format(link=f"queue = {value}", controller="cubic-ecn")
    for name, line in ELEMENTS.items():
        texts[f"element {name}"] = TEXT.format(link=line, controller="bbr3")
    found = {}
    for name, text in texts.items():
        values, origin = parse_document(text, f"{name}.toml")
        found[name] = read_experiment(values, origin)
    return found


def digest(experiment: Experiment) -> str:
    """What `experiment` recorded, in one number."""
    return VirtualRunner().run(experiment, lambda _: None).digest()


def main() -> None:
    """Print the digests, or write them."""
    text = json.dumps({name: digest(each) for name, each in experiments().items()}, indent=2) + "\n"
    if "--write" in sys.argv:
        KEPT.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
