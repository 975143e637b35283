"""docs/lab.md names everything that an experiment may say, and every ready experiment has its page and picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacks.lab.experiment.loading import Document, find_document
from stacks.lab.experiment.reading import parse_document
from stacks.lab.experiment.sweeping import read_base, read_points
from stacks.lab.fabric import SCHEMES
from stacks.lab.library import ready_names
from stacks.lab.metrics.catalogue import METRICS
from stacks.lab.runners.virtual import VirtualRunner
from stacks.lab.senders import SENDERS
from stacks.lab.workloads import WORKLOADS
from stacks.runtime.toml_problems import ConfigurationError
from tests.stacks.lab.documents import PLAIN, experiment
from transports.link.disciplines import DISCIPLINES
from transports.link.elements import SLOTS
from transports.link.linkspec import RATES

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "lab.md").read_text()
MARKED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
WORDS = {word.partition(" = ")[0].strip('"[]') for word in MARKED}

TABLES = {
    "the whole": "zzz = 1\n" + PLAIN,
    "a dumbbell": PLAIN.replace("[topology]\n", "[topology]\nzzz = 1\n"),
    "a parking lot": PLAIN.replace('"dumbbell"', '"parking-lot"\nzzz = 1\nhops = 3'),
    "a chain": PLAIN.replace('"dumbbell"', '"chain"\nzzz = 1'),
    "a hop": PLAIN.partition("[topology]")[0] + '[topology]\nkind = "chain"\n[[topology.hop]]\nzzz = 1\n',
    "a leaf-spine": PLAIN.partition("[topology]")[0] + '[topology]\nkind = "leaf-spine"\nzzz = 1\n',
    "a flow": PLAIN + "zzz = 1\n",
    "traffic": PLAIN + "[[traffic]]\nzzz = 1\n",
    "a workload": PLAIN + "[[workload]]\nzzz = 1\n",
}


def known_keys(text: str) -> set[str]:
    """What the refusal of an unknown key says that there is."""
    with pytest.raises(ConfigurationError) as caught:
        experiment(text)
    lines = [line for line in caught.value.lines if "unknown key 'zzz'; there are: " in line]
    assert lines, caught.value.lines
    return set(lines[0].partition("there are: ")[2].split(", "))


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_told(table: str) -> None:
    assert known_keys(TABLES[table]) - {word.removeprefix("topology.") for word in WORDS} == set()


def test_everything_that_has_a_name_is_told() -> None:
    kinds = {name for slot in SLOTS.values() for kind in slot.kinds for name in (kind.name, *kind.aliases)}
    rates = {name for kind in RATES for name in (kind.name, *kind.aliases)}
    for names in (kinds, rates, set(DISCIPLINES), set(METRICS), set(WORKLOADS), set(SCHEMES)):
        assert names - WORDS == set()
    assert set(SENDERS) - {word.partition(":")[0] for word in WORDS} == set()


def test_every_parameter_of_what_stands_on_a_link_is_told() -> None:
    every = [kind for slot in SLOTS.values() for kind in slot.kinds] + [*RATES, *DISCIPLINES.values()]
    for kind in every:
        assert {parameter.name for parameter in kind.parameters} - WORDS == set(), kind.name


def test_the_experiment_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```toml\n(name = \"mine\".*?)```", PAGE, re.DOTALL)
    values, origin = parse_document(text, "mine.toml")
    assert len(read_points(Document(values, origin, Path()))) == 2


@pytest.mark.parametrize(
    ("name", "least_mbps", "most_mbps"), [("policed", 5, 10), ("cellular", 8, 12), ("parked", 17, 40)]
)
def test_the_small_experiments_of_the_page_run(
    tmp_path: Path, name: str, least_mbps: int, most_mbps: int
) -> None:
    (text,) = re.findall(rf'```toml\n(name = "{name}".*?)```', PAGE, re.DOTALL)
    (tmp_path / "cellular.trace").write_text("1\n")  # 1500 bytes each millisecond: 12 Mbit/s
    record = VirtualRunner().run(experiment(text, folder=tmp_path), lambda _: None)
    goodput = record.metrics["goodput_bps"]
    assert isinstance(goodput, int)
    # Not more than the links in question carry, nor far less.
    assert least_mbps * 1_000_000 <= goodput <= most_mbps * 1_000_000


@pytest.mark.parametrize("name", ready_names())
def test_a_ready_experiment_can_run_and_has_its_page_with_its_picture(name: str) -> None:
    document = find_document(name)
    points = read_points(document)
    assert {point.experiment.name for point in points} == {read_base(document).experiment.name} == {name}
    page = (DOCS / "experiments" / f"{name}.md").read_text()
    assert page.startswith(f"# {document.values['title']}\n")
    assert f"]({name}.png)" in page
    assert (DOCS / "experiments" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"(experiments/{name}.md)" in PAGE


def test_no_page_is_left_of_an_experiment_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "experiments").iterdir()} == set(ready_names())
