"""How much memory hangs on an object."""

from __future__ import annotations

import gc
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType

SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


def footprint(*roots: object) -> int:
    """Bytes of everything that can be reached, but for code; shared things count once."""
    seen: set[int] = set()
    waiting, total = list(roots), 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, SHARED):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting.extend(gc.get_referents(thing))
    return total
