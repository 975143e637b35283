"""How many files a process may have open."""

from __future__ import annotations

import contextlib
import resource


def raise_file_limit() -> None:
    """Have as many as the system allows; connections, images and what processes share are files."""
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
