"""Which namespaces a controller's host may read and write now: the dicts that its queues look NSIDs up in.

This is the whole price of reservations on the data path: a read looks in one dict and a write in another. Both change
in place, so whatever changes counts at once on every queue. What does not depend on this process, the restrictions of
a host (`Sharing.restrictions`), is a small mapping of NSID to `Access` that can be sent to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stacks.nvme.target.reservations.table import Access

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace


class NamespaceAccess:
    """What one host may do over one controller.

    readable, writable: the namespaces that I/O gets through to and that no reservation keeps the host from reading,
    and from writing.
    """

    __slots__ = ("readable", "writable")

    def __init__(self) -> None:
        self.readable: dict[int, Namespace] = {}
        self.writable: dict[int, Namespace] = {}

    def update(self, reachable: Mapping[int, Namespace], restrictions: Mapping[int, Access]) -> None:
        """Something has changed: which namespaces I/O gets through to, or what reservations allow of them."""
        for namespaces, needed in ((self.readable, Access.READ), (self.writable, Access.READ_WRITE)):
            namespaces.clear()
            for nsid, namespace in reachable.items():
                if restrictions.get(nsid, Access.READ_WRITE) >= needed:
                    namespaces[nsid] = namespace
