"""`python -m interop.pyverbs.session TESTS OUTCOMES [NAME ...]`: run rdma-core's tests over our module, in a process.

TESTS: the folder with `tests` in it. OUTCOMES: a file that gets a JSON line with
the names of all of them, then one for each as it ends. NAME: modules, classes or
tests, as unittest names them; all without any. The tests are as Debian packs them, but for one thing: they look into
/sys for the network interface of a device, and are told the device's address instead.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from stacks.rdma.verbs import default_host

SITE = Path(__file__).parent / "site"
TEST_SECONDS = 60


def main() -> int:
    """Run them; 0 when none failed."""
    tests, outcomes, *names = sys.argv[1:]
    sys.argv[1:] = []
    # A card works while its program sleeps, and the tests of connections count on it.
    os.environ["BAREMETAL_PROGRESS"] = "thread"
    sys.path[:0] = [str(SITE), tests, str(Path(tests) / "tests")]
    importlib.import_module("args_parser").parser.parse_args()
    package = importlib.import_module("tests")
    _tell_addresses()
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.loadTestsFromModule(package)
    with Path(outcomes).open("w", encoding="utf-8") as file:
        file.write(json.dumps({"tests": [test.id() for test in _tests_in(suite)]}) + "\n")
        result = suite.run(_Recorder(file))
    assert result is not None
    return 0 if result.wasSuccessful() else 1


def _tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _tests_in(item)
        else:
            yield item


def _tell_addresses() -> None:
    """Answer for /sys/class/infiniband/*/device/net, which no software device has (nor has rxe)."""
    base: Any = importlib.import_module("tests.base")

    def get_ip_mac(self: Any, dev: str, port: int, idx: int) -> None:
        self.args.append([dev, port, idx, default_host().addresses[dev], None])

    base.RDMATestCase._get_ip_mac = get_ip_mac  # noqa: SLF001  # the tests' own name


class _Recorder(unittest.TestResult):
    """Writes a line for each test as it ends, so that what came before a crash is known."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file
        self._started = 0.0
        self._outcome = ("ok", "")

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._started = time.monotonic()
        self._outcome = ("ok", "")
        faulthandler.dump_traceback_later(TEST_SECONDS, exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        faulthandler.cancel_dump_traceback_later()
        kind, reason = self._outcome
        line = {"test": test.id(), "outcome": kind, "reason": reason, "seconds": time.monotonic() - self._started}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        super().stopTest(test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._outcome = ("skip", reason)

    def addFailure(self, test: unittest.TestCase, err: _ErrorInfo) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._outcome = ("FAIL", self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: _ErrorInfo) -> None:  # noqa: N802
        super().addError(test, err)
        self._outcome = ("FAIL", self.errors[-1][1])


_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

if __name__ == "__main__":
    sys.exit(main())
