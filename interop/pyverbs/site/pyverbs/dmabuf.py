"""Buffers of graphics cards: there are none."""

import errno

from stacks.rdma.verbs.errors import PyverbsRDMAError


class DmaBuf:
    """A buffer of a graphics card; its device is looked for where the C library looks."""

    def __init__(self, size: int, unit: int = 0, gpu: int = 0, gtt: bool = False) -> None:  # noqa: ARG002
        raise PyverbsRDMAError(f"Failed to open /dev/dri/renderD{128 + gpu}", errno.ENOENT)
