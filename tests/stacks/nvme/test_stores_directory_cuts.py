"""Directories of namespaces that are cut, killed or fail at any operation: the state before or the state after."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Callable

import pytest

from stacks.nvme.stores.directory import NamespaceDirectory
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import pattern, read
from tests.stacks.nvme.vanishing_file import PowerCut
from tests.stacks.nvme.vanishing_folder import VanishingFolder

MIB = 1 << 20
UUIDS = [uuid.UUID(int=0x1234_5678 << 96 | number) for number in range(9)]

State = dict[int, tuple[int, bytes]]
"""Blocks, and what the first ones hold, by NSID."""


class Script:
    """A directory in a folder that may be cut, what was done to it, and the states that may be found."""

    def __init__(self, folder: VanishingFolder | None = None) -> None:
        self.folder = folder or VanishingFolder()
        self.directory = NamespaceDirectory(self.folder)
        # A file that was on its way to be longer may be so already.
        self.grown = 0
        self.possible: list[State] = [{}]
        self.number = 0

    def state(self) -> State:
        namespaces = self.directory.namespaces.items()
        stores = {nsid: each.store for nsid, each in namespaces}
        return {nsid: (each.block_count, read(each, 0, min(4, each.block_count))) for nsid, each in stores.items()}

    def becomes(self, state: State, change: Callable[[], object]) -> None:
        self.possible.append(state)
        change()
        assert self.state() == state
        self.possible = [state]

    def create(self, nsid: int) -> None:
        now = self.state()
        self.number += 1
        identifier = uuid.UUID(int=self.number)
        self.becomes(
            {**now, nsid: (100, bytes(4 * 4096))},
            lambda: self.directory.create(409600, nsid=nsid, identifier=identifier),
        )
        # What is written is the store's affair, and nothing happens to it here.
        times, self.folder.cut_at, self.folder.fail_at = (self.folder.cut_at, self.folder.fail_at), 0, 0
        store = self.directory.namespaces[nsid].store
        store.write(0, [memoryview(pattern(store, 3, nsid))])
        store.flush()
        self.possible = [self.state()]
        self.folder.cut_at, self.folder.fail_at = times

    def resize(self, nsid: int, blocks: int) -> None:
        now = self.state()
        state = {**now, nsid: (blocks, now[nsid][1])}
        self.grown = nsid if blocks > now[nsid][0] else 0
        self.becomes(state, lambda: self.directory.resize(nsid, blocks * 4096, may_shrink=True))

    def delete(self, nsid: int) -> None:
        now = self.state()
        self.becomes({key: each for key, each in now.items() if key != nsid}, lambda: self.directory.delete(nsid))

    def play(self) -> None:
        for call in (
            lambda: self.create(1),
            lambda: self.create(2),
            lambda: self.resize(1, 150),
            lambda: self.resize(2, 60),
            lambda: self.delete(1),
            lambda: self.create(1),
            lambda: self.resize(2, 70),
            lambda: self.delete(2),
        ):
            call()

    def look_again(self) -> None:
        """Open the folder as the next process would; what is found is one of the possible states, and nothing more."""
        self.directory = NamespaceDirectory(self.folder)
        found = self.state()
        assert found in self.possible
        assert set(self.folder.names) == {"manifest.toml"} | {f"ns-{nsid}.img" for nsid in found}
        for nsid, (blocks, _) in found.items():
            size_bytes = self.folder.names[f"ns-{nsid}.img"].size()
            assert size_bytes == blocks * 4096 or (nsid == self.grown and size_bytes > blocks * 4096)


@pytest.mark.slow
def test_a_cut_at_any_operation_leaves_the_state_before_or_after_and_nothing_lying_about() -> None:
    whole = Script()
    first = whole.folder.operations
    whole.play()
    total = whole.folder.operations
    assert total > first + 80
    for cut_at in range(first + 1, total + 1):
        for seed in range(4):
            script = Script()
            script.folder.cut_at = cut_at
            with pytest.raises(PowerCut):
                script.play()
            script.folder.power_cut(random.Random(seed * 1000 + cut_at))
            script.look_again()


@pytest.mark.slow
def test_a_process_killed_at_any_operation_leaves_the_same() -> None:
    whole = Script()
    first = whole.folder.operations
    whole.play()
    for cut_at in range(first + 1, whole.folder.operations + 1):
        for seed in range(5):
            script = Script()
            script.folder.cut_at = cut_at
            with pytest.raises(PowerCut):
                script.play()
            script.folder.restart()
            script.look_again()
            # What the next process found is there after a cut as well.
            script.possible = [script.state()]
            script.folder.power_cut(random.Random(cut_at * 10 + seed))
            script.look_again()


@pytest.mark.slow
def test_a_cut_while_a_cut_is_made_up_for_leaves_the_same() -> None:
    whole = Script()
    first = whole.folder.operations
    whole.play()
    for cut_at in range(first + 1, whole.folder.operations + 1):
        for again_at in range(1, 30, 2):
            script = Script()
            script.folder.cut_at = cut_at
            with pytest.raises(PowerCut):
                script.play()
            rng = random.Random(cut_at * 100 + again_at)
            script.folder.power_cut(rng)
            script.folder.cut_at = script.folder.operations + again_at
            try:
                script.directory = NamespaceDirectory(script.folder)
            except PowerCut:
                script.folder.power_cut(rng)
                script.look_again()
            else:
                break


def test_the_first_manifest_is_there_or_not() -> None:
    for cut_at in range(1, 7):
        for seed in range(10):
            folder = VanishingFolder()
            folder.cut_at = cut_at
            with pytest.raises(PowerCut):
                NamespaceDirectory(folder)
            folder.power_cut(random.Random(seed))
            assert NamespaceDirectory(folder).namespaces == {}
            assert set(folder.names) == {"manifest.toml"}


@pytest.mark.slow
def test_a_cut_after_a_call_that_failed_leaves_the_state_before_or_after() -> None:
    whole = Script()
    first = whole.folder.operations
    whole.play()
    failures = 0
    for fail_at in range(first + 1, whole.folder.operations + 1):
        # At once, or in or after what is done next.
        for cut_after in (0, 1, 4, 6, 12):
            folder = VanishingFolder()
            script = Script(folder)
            folder.fail_at = fail_at
            try:
                script.play()
            except (LocalError, OSError):
                failures += 1
            folder.cut_at = folder.operations + cut_after
            if cut_after:
                with contextlib.suppress(LocalError, PowerCut):
                    script.directory.create(4096, nsid=9, identifier=UUIDS[8])
                script.possible += [{**state, 9: (1, bytes(4096))} for state in script.possible]
            folder.power_cut(random.Random(fail_at * 100 + cut_after))
            script.look_again()
    assert failures > 300


@pytest.mark.slow
def test_a_call_that_fails_can_be_made_again_and_leaves_nothing_half_done() -> None:
    def calls(directory: NamespaceDirectory) -> list[Callable[[], object]]:
        return [
            lambda: directory.create(MIB, nsid=1, identifier=UUIDS[1]),
            lambda: directory.resize(1, 2 * MIB),
            lambda: directory.create(MIB, nsid=2, identifier=UUIDS[2]),
            lambda: directory.resize(1, MIB // 2, may_shrink=True),
            lambda: directory.delete(1),
        ]

    failures: list[str] = []
    for fail_at in range(7, 120):
        folder = VanishingFolder()
        directory = NamespaceDirectory(folder)
        folder.fail_at = fail_at
        for call in calls(directory):
            if (failure := failure_of(call)) and not failed_for_good(directory):
                failures.append(failure)
                # A deletion may have gone so far that the call itself had to finish it.
                assert failure_of(call) in ("", "disks has no namespace 1; there are: 2")
        folder.fail_at = 0
        if not failed_for_good(directory):
            assert set(directory.namespaces) == {2}
            directory.close()
            folder.restart()
            again = NamespaceDirectory(folder)
            assert set(again.namespaces) == {2}
            assert set(folder.names) == {"manifest.toml", "ns-2.img"}
    assert len(failures) > 40
    assert set(failures) == {"disks: input/output error", "disks/ns-1.img: input/output error"}


def failure_of(call: Callable[[], object]) -> str:
    try:
        call()
    except LocalError as error:
        return str(error)
    return ""


def failed_for_good(directory: NamespaceDirectory) -> bool:
    """Whether it was the sync of an image, which takes no more changes then until it is opened again."""
    for each in directory.namespaces.values():
        try:
            each.store.flush()
        except OSError:
            return True
    return False
