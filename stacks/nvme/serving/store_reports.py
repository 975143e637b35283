"""What whoever runs a target is told of stores that fail: one line for each namespace and kind of failure.

An initiator only gets a status, and a bug in a store of one's own is found on this side. Lines go to the logger
`stacks.nvme.serving`, which means standard error in a program that does not configure logging. With the environment
variable BAREMETAL_DEBUG=1 the traceback comes with them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from stacks.nvme.target import Target
from stacks.nvme.target.namespace import Namespace


class StoreReports:
    """Says each kind of failure once, and never more than `REPORTS_MAX` of them; what `Target.on_store_failure` takes.

    say: takes the text, one line, or more with a traceback. source_of: what a namespace's store is called, empty where
    it has no name.
    """

    def __init__(
        self,
        target: Target,
        say: Callable[[str], None],
        *,
        source_of: Callable[[Namespace], str] = lambda _: "",
    ) -> None:
        self._target = target
        self._say = say
        self._source_of = source_of
        self._said: set[tuple[str, str]] = set()

    def __call__(self, namespace: Namespace, failure: str) -> None:
        """A store failed a command with `failure`."""
        trace = self._target.last_store_trace
        # The texts of exceptions have numbers in them: their type tells what kind they are.
        kind = failure.partition(":")[0] if trace else failure
        place = place_of(self._target, namespace)
        if len(self._said) >= REPORTS_MAX or (place, kind) in self._said:
            return
        self._said.add((place, kind))
        source = self._source_of(namespace)
        where = f"{source}, {place}" if source else place
        if not trace:
            self._say(f"{where}: {failure}; commands of initiators fail with that")
        elif os.environ.get("BAREMETAL_DEBUG"):
            self._say(f"{where}: its store raised {failure}; commands fail with internal error\n{trace.rstrip()}")
        else:
            at = f" ({last_line(trace)})"
            self._say(
                f"{where}: its store raised {failure}{at}; commands fail with internal error; "
                "BAREMETAL_DEBUG=1 shows the traceback"
            )


def log_report(text: str) -> None:
    """Where a server's reports go by themselves."""
    logging.getLogger("stacks.nvme.serving").error("%s", text)


def place_of(target: Target, namespace: Namespace) -> str:
    """A namespace's number and subsystem."""
    for nqn, subsystem in target.subsystems.items():
        if subsystem.namespaces.get(namespace.nsid) is namespace:
            return f"namespace {namespace.nsid} of {nqn}"
    return f"namespace {namespace.nsid}"


def last_line(trace: str) -> str:
    """Where an exception was raised: `disk.py, line 12, in read`, from its traceback."""
    places = [line.strip() for line in trace.splitlines() if line.startswith('  File "')]
    return places[-1].removeprefix("File ").replace('"', "") if places else "nowhere"


REPORTS_MAX = 100
