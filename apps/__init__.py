"""The commands that people run: argument parsing and presentation, one module a command group.

Nothing here knows a protocol: a command reads its arguments, calls a stack's public API, and prints. What a command
cannot do is raised as `apps.errors.CommandError` (or reaches it as an exception of the stacks) and leaves as one line.
"""

__version__ = "0.1.0"
