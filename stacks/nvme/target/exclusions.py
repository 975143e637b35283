"""Blocks that somebody has to himself: a fused pair, from before its blocks are read until they are written.

    claim     what is on its way to a store, or there, and changes these blocks is waited for; what comes later is held
    granted   the pair reads, compares and writes
    end       what was held goes on, in its order; who wants some of the same blocks waits for that, and is next

Changes are writes, zeroes, deallocations and marks, whatever command they are for. Reads go on: between the two halves
of a pair they see the blocks as they were before it. A target on which nobody claims anything looks at one list for
each batch of store requests, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from stacks.nvme.stores.contract import DEALLOCATE, NOTHING, WRITE, WRITE_ZEROES, Store, StoreRequest
from stacks.nvme.target.command import Command


class Exclusion:
    """A claim on `blocks` blocks of a store from `block` on.

    granted: called once, when nobody else changes them. owner: whose requests are let through.
    """

    def __init__(
        self, store: Store, block: int, blocks: int, *, owner: Command, granted: Callable[[], None]
    ) -> None:
        self.store = store
        self.block = block
        self.blocks = blocks
        self.owner = owner
        self.granted = granted
        self.held: list[Command] = []
        self.waiting_for: set[Command] = set()

    def is_changed_by(self, request: Command) -> bool:
        """Whether a store request changes some of the blocks, and is not the owner's."""
        if request.store is not self.store or request is self.owner:
            return False
        return any(self.overlaps(block, blocks) for block, blocks in changes_of(request))

    def overlaps(self, block: int, blocks: int) -> bool:
        """Whether a range of the store has some of the blocks."""
        return block < self.block + self.blocks and self.block < block + blocks


class Exclusions:
    """The claims of a target.

    requests: where what was held goes on. under_way: gives every command that is on its way to a store, or there.
    changed: called when a claim comes, before it counts, and when one ends.
    active: the claims that hold others back, granted or about to be.
    """

    def __init__(
        self,
        requests: list[Command],
        under_way: Callable[[], Iterable[Command]],
        changed: Callable[[], None],
    ) -> None:
        self.active: list[Exclusion] = []
        self._requests = requests
        self._under_way = under_way
        self._changed = changed
        self._next: list[Exclusion] = []
        self._is_settling = False

    @property
    def held(self) -> list[Command]:
        """Every request that is held back."""
        return [command for exclusion in self.active for command in exclusion.held]

    def has_claim_on(self, store: Store) -> bool:
        """Whether somebody has some of a store's blocks to himself, or waits for that."""
        return any(exclusion.store is store for exclusion in chain(self.active, self._next))

    def claim(self, exclusion: Exclusion) -> None:
        """Have the blocks of `exclusion` for its owner alone, perhaps at once."""
        is_taken = self._is_taken(exclusion, self._next)
        self._next.append(exclusion)
        self._changed()
        if not is_taken:
            self._next.remove(exclusion)
            self._begin(exclusion)

    def end(self, exclusion: Exclusion) -> None:
        """The blocks are everybody's again; also takes back a claim that is not granted yet."""
        if exclusion in self.active:
            self.active.remove(exclusion)
            self._requests += exclusion.held
            exclusion.held.clear()
        elif exclusion in self._next:
            self._next.remove(exclusion)
        self._settle()
        self._changed()

    def sift(self, requests: Sequence[Command]) -> list[Command]:
        """Of a batch of store requests those that may go; the others are held back."""
        return [request for request in requests if not self._hold(request)]

    def take_back(self, commands: Iterable[Command]) -> None:
        """Requests that will not reach a store: nobody holds them any more, or waits for them."""
        taken = set(commands)
        for exclusion in self.active[:]:
            exclusion.held = [command for command in exclusion.held if command not in taken]
            if exclusion.waiting_for & taken:
                exclusion.waiting_for -= taken
                self._look_at(exclusion)

    def _settle(self) -> None:
        # Claims that are granted may end at once: then those behind them are found here, and not from within.
        if self._is_settling:
            return
        self._is_settling = True
        while (exclusion := self._find_free()) is not None:
            self._next.remove(exclusion)
            self._begin(exclusion)
        self._is_settling = False

    def _find_free(self) -> Exclusion | None:
        for index, exclusion in enumerate(self._next):
            if not self._is_taken(exclusion, self._next[:index]):
                return exclusion
        return None

    def _is_taken(self, exclusion: Exclusion, before: Sequence[Exclusion]) -> bool:
        return any(
            each.store is exclusion.store and each.overlaps(exclusion.block, exclusion.blocks)
            for each in chain(self.active, before)
        )

    def _begin(self, exclusion: Exclusion) -> None:
        held = set(self.held)
        self.active.append(exclusion)
        exclusion.waiting_for = {
            command for command in self._under_way() if command not in held and exclusion.is_changed_by(command)
        }
        for command in exclusion.waiting_for:
            command.resume = self._back_of(exclusion, command.resume)
        self._look_at(exclusion)

    def _hold(self, request: Command) -> bool:
        for exclusion in self.active:
            if request not in exclusion.waiting_for and exclusion.is_changed_by(request):
                exclusion.held.append(request)
                return True
        return False

    def _back_of(self, exclusion: Exclusion, go_on: Callable[[Command], None]) -> Callable[[Command], None]:
        def back(command: Command) -> None:
            # It does not count any more from here on; if it goes on with another piece, that piece is held.
            was_waited_for = command in exclusion.waiting_for
            exclusion.waiting_for.discard(command)
            go_on(command)
            if was_waited_for:
                self._look_at(exclusion)

        return back

    def _look_at(self, exclusion: Exclusion) -> None:
        if not exclusion.waiting_for and exclusion in self.active:
            exclusion.granted()


def changes_of(request: StoreRequest) -> Sequence[tuple[int, int]]:
    """(block, blocks) of every range that a store request changes, or is about."""
    if request.verb == WRITE:
        assert request.store is not None
        assert request.view is not None
        return ((request.block, len(request.view) // request.store.block_bytes),)
    if request.verb in (WRITE_ZEROES, NOTHING):
        return ((request.block, request.blocks),)
    return request.ranges if request.verb == DEALLOCATE else ()
