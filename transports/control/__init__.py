"""The control socket: how a live view, a management command or a metric reaches a running process.

Every long-running process opens one Unix stream socket, named by its role and process number, in a folder that only
its user may enter (`directory`). A client sends one JSON object a line and gets one back:

    {"op": "snapshot"}                                       -> {"ok": true, "result": {...}}
    {"op": "subscribe", "interval_ms": 1000}                 -> the same, again and again, until the client hangs up
    {"op": "command", "name": "drain", "arguments": {...}}   -> {"ok": true, "result": ...}
    anything else, or a command that fails                   -> {"ok": false, "error": "what is wrong"}

`server` runs in the process's nursery and is told what a snapshot is and which commands there are; `client` needs no
event loop. Left out: authentication beyond the folder's mode 0700, and any meaning of what is carried.
"""

from transports.control.client import ControlClient
from transports.control.directory import ControlEntry, Json, control_directory, running_processes
from transports.control.errors import ControlError, NoAnswer
from transports.control.server import ControlServer

__all__ = [
    "ControlClient",
    "ControlEntry",
    "ControlError",
    "ControlServer",
    "Json",
    "NoAnswer",
    "control_directory",
    "running_processes",
]
