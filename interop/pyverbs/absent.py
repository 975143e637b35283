"""Classes that exist in name only: tests import them at the top, and use them where a device has the feature."""

from __future__ import annotations

import errno

from stacks.rdma.verbs.errors import PyverbsRDMAError


def absent(name: str) -> type:
    """A class that cannot be made: EOPNOTSUPP. A module's __getattr__."""
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(self: object, *_: object, **__: object) -> None:
        raise PyverbsRDMAError(f"{type(self).__name__} is not supported", errno.EOPNOTSUPP)

    return type(name, (), {"__init__": refuse})
