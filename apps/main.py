"""The entry of the command `baremetal`."""

# ruff: noqa: E402 (what follows comes before every other import, since Ctrl-C may come during any of them)
import _signal  # type: ignore[import-not-found]
import sys

IS_PROGRAM = __name__ == "__main__" or sys.argv[0].endswith("baremetal")
"""Whether this process is the command; else it is another program, whose signals are its own until it calls `main`."""
IS_HEARD = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
"""Whether Ctrl-C is to be heard; in the background of a script it is ignored."""
if IS_PROGRAM and IS_HEARD:
    # Ctrl-C while modules are still being loaded ends the process without a traceback.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; never returns."""
    is_heard = IS_HEARD if IS_PROGRAM else _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if is_heard:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from apps.command_line import app
    from apps.errors import run
    from apps.output import prepare_standard_streams

    prepare_standard_streams()
    if is_heard:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    run(lambda: app(standalone_mode=False))


if __name__ == "__main__":
    main()
