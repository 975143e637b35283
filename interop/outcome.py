"""What a case can come to besides passing."""

from __future__ import annotations

import shutil


class DisagreementError(Exception):
    """The judge disagrees; the message says with what, in lines fit for a terminal."""


class MissingToolError(Exception):
    """The case could not be run; the message names what is missing and where it comes from."""


def require(tool: str, *, package: str) -> None:
    """Raise MissingToolError when `tool` is not installed; nothing here installs anything."""
    if not shutil.which(tool):
        raise MissingToolError(f"{tool} is missing: install the package {package}")
