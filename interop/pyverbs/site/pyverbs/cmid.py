"""Connections."""

from interop.pyverbs.absent import absent as __getattr__  # noqa: F401
