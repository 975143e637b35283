"""`python -m interop.quic.peers.repeat WORDS... -- URL...`: `baremetal WORDS... URL` for each URL, in one process.

Fifty connections one after the other are fifty commands; a second of start for each would be half of a case's time.
"""

from __future__ import annotations

import sys

import typer.main

from apps.command_line import app


def main() -> int:
    """0 when every one ended with 0."""
    words = sys.argv[1:]
    at = words.index("--")
    command = typer.main.get_command(app)
    for url in words[at + 1 :]:
        status = command.main([*words[:at], url], prog_name="baremetal", standalone_mode=False)
        if status:
            return int(status)
    return 0


if __name__ == "__main__":
    sys.exit(main())
