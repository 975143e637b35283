"""Verbs of a vendor: nothing of it is here, but the tests import the names."""

from interop.pyverbs.absent import absent as __getattr__  # noqa: F401
