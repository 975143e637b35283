"""The entry of the command `baremetal`."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; never returns."""
    # Ctrl-C while modules are still being loaded ends the process without a traceback.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from apps.command_line import app
    from apps.errors import run
    from apps.output import prepare_standard_streams

    prepare_standard_streams()
    signal.signal(signal.SIGINT, handler)
    run(lambda: app(standalone_mode=False))


if __name__ == "__main__":
    main()
