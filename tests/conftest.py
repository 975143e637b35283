"""What every test shares: reproducible property tests, and loopback addresses that no other test uses."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "baremetal", database=None, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("baremetal")


@pytest.fixture(scope="session")
def loopback_addresses() -> Iterator[str]:
    """Addresses of 127.0.0.0/8, never the same twice, apart for each worker of pytest-xdist."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    network = 16 + worker + 40 * (os.getpid() % 5)
    return (f"127.{network}.{number // 200}.{1 + number % 200}" for number in itertools.count())


@pytest.fixture
def loopback_address(loopback_addresses: Iterator[str]) -> str:
    """One loopback address of this test's own."""
    return next(loopback_addresses)
