"""What every core is built from: errors, state tables, timers, counters and the trace.

Nothing here knows a protocol, does input or output, or keeps state of its own beyond the objects it hands out.
"""

from stacks.runtime.counters import Counters
from stacks.runtime.errors import LocalError, RemoteError, StackError
from stacks.runtime.state_table import DROP, IGNORE, StateTable, Verdict
from stacks.runtime.timers import Timers
from stacks.runtime.trace import Trace, TraceLog, TraceRecord

__all__ = [
    "DROP",
    "IGNORE",
    "Counters",
    "LocalError",
    "RemoteError",
    "StackError",
    "StateTable",
    "Timers",
    "Trace",
    "TraceLog",
    "TraceRecord",
    "Verdict",
]
