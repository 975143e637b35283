"""The same outcome on every machine and Python version: see `tests.stacks.lab.identity`."""

from __future__ import annotations

import json

import pytest

from tests.stacks.lab.identity import KEPT, digest, experiments

DIGESTS = json.loads(KEPT.read_text())
EXPERIMENTS = experiments()


def test_a_digest_is_kept_of_every_experiment() -> None:
    assert list(DIGESTS) == list(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_outcome_is_the_one_that_was_kept(name: str) -> None:
    assert digest(EXPERIMENTS[name]) == DIGESTS[name], "python -m tests.stacks.lab.identity --write, if that was meant"
