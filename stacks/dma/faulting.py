"""Memory that is not there yet, and memory that remembers who wrote it: on-demand paging and migration, on purpose.

Pages of the wrapped `Dma` are absent until somebody brings them in. A mapping that touches an absent page is a
recoverable fault with that page's token. The test, playing the host, takes it with `poll_fault`, answers with
`handle_page_ready` or `handle_page_lost`, and tells the engine. Written pages enter a dirty log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from stacks.dma.buffers import flat_view
from stacks.dma.contract import Direction, Dma, Fault, Mapping
from stacks.dma.scattered import PAGE_BYTES
from stacks.runtime.errors import LocalError


class FaultingDma:
    """A `Dma` around another, with pages of 4 KiB that come, go and get dirty.

    inner: the memory; attached to and detached from through this object only.
    is_resident: whether the pages of a newly attached buffer are there at once.
    """

    __slots__ = (
        "_dirty",
        "_evictions",
        "_faults",
        "_inner",
        "_is_resident",
        "_lengths",
        "_lost",
        "_resident",
        "_tokens",
    )

    def __init__(self, inner: Dma, *, is_resident: bool = False) -> None:
        self._inner = inner
        self._is_resident = is_resident
        self._evictions = 0
        self._lengths: dict[int, int] = {}
        # Pages are named by their first address, in all of these.
        self._resident: set[int] = set()
        self._lost: set[int] = set()
        self._dirty: set[int] = set()
        self._tokens = _Tokens()
        self._faults: deque[Fault] = deque()

    @property
    def epoch(self) -> int:
        """Rises at every `detach` and `evict`."""
        return self._inner.epoch + self._evictions

    @property
    def is_direct(self) -> bool:
        """Pages come and go, and writes are logged."""
        return False

    def attach(self, buffer: object, *, writable: bool = True) -> int:
        """As the contract says; the pages are absent unless the object was made with `is_resident`."""
        address = self._inner.attach(buffer, writable=writable)
        self._lengths[address] = flat_view(buffer, writable=writable).nbytes
        if self._is_resident:
            self._resident.update(_pages(address, self._lengths[address]))
        return address

    def detach(self, address: int) -> None:
        """As the contract says; open faults on the range are withdrawn."""
        self._inner.detach(address)
        gone = set(_pages(address, self._lengths.pop(address)))
        for known in (self._resident, self._lost, self._dirty):
            known.difference_update(gone)
        self._tokens.withdraw(gone)
        self._faults = deque(fault for fault in self._faults if self._tokens.page(fault.token) is not None)

    def map(self, address: int, length: int, direction: Direction) -> Mapping | Fault:
        """The inner mapping, or a fault at the first address that is not there."""
        mapping = self._inner.map(address, length, direction)
        if isinstance(mapping, Fault):
            return mapping
        for page in _pages(address, length):
            if page not in self._resident:
                return self._fault(page, max(page, address), direction)
        return _LoggedMapping(mapping, address, self._dirty)

    def poll_fault(self) -> Fault | None:
        """The next recoverable fault that nobody has taken yet; each absent page is reported once."""
        return self._faults.popleft() if self._faults else None

    def handle_page_ready(self, token: int) -> None:
        """The page of this token is there now. Raises LocalError for a token that is not open."""
        self._resident.add(self._close(token))

    def handle_page_lost(self, token: int) -> None:
        """The page of this token will never come: later faults on it are unrecoverable. Raises LocalError likewise."""
        self._lost.add(self._close(token))

    def evict(self, address: int, length: int) -> None:
        """Take the pages that [address, address + length) touches away; raises the epoch."""
        self._resident.difference_update(_pages(address, length))
        self._evictions += 1

    def take_dirty_pages(self) -> tuple[int, ...]:
        """First addresses of the pages written since the last call, in order."""
        dirty = tuple(sorted(self._dirty))
        self._dirty.clear()
        return dirty

    def _fault(self, page: int, address: int, direction: Direction) -> Fault:
        if page in self._lost:
            return Fault(address, direction, None)
        is_new = not self._tokens.is_open(page)
        fault = Fault(address, direction, self._tokens.open(page))
        if is_new:
            self._faults.append(fault)
        return fault

    def _close(self, token: int) -> int:
        page = self._tokens.page(token)
        if page is None:
            raise LocalError(f"no page fault is open under token {token}")
        self._tokens.withdraw({page})
        self._faults = deque(fault for fault in self._faults if fault.token != token)
        return page


class _LoggedMapping:
    """A mapping whose written pages enter the dirty log."""

    __slots__ = ("_address", "_dirty", "_mapping", "views")

    def __init__(self, mapping: Mapping, address: int, dirty: set[int]) -> None:
        self._mapping = mapping
        self._address = address
        self._dirty = dirty
        self.views = mapping.views

    def wrote(self, length: int) -> None:
        self._dirty.update(_pages(self._address, length))
        self._mapping.wrote(length)


class _Tokens:
    """Open page faults: one token a page, never given twice."""

    __slots__ = ("_by_page", "_by_token", "_last")

    def __init__(self) -> None:
        self._by_page: dict[int, int] = {}
        self._by_token: dict[int, int] = {}
        self._last = 0

    def open(self, page: int) -> int:
        if page not in self._by_page:
            self._last += 1
            self._by_page[page] = self._last
            self._by_token[self._last] = page
        return self._by_page[page]

    def is_open(self, page: int) -> bool:
        return page in self._by_page

    def page(self, token: int | None) -> int | None:
        return None if token is None else self._by_token.get(token)

    def withdraw(self, pages: Iterable[int]) -> None:
        for page in pages:
            token = self._by_page.pop(page, None)
            if token is not None:
                del self._by_token[token]


def _pages(address: int, length: int) -> range:
    if length <= 0:
        return range(0)
    return range(address - address % PAGE_BYTES, address + length, PAGE_BYTES)
