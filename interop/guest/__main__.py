"""`python -m interop.guest [COMMAND ...]`: run a command in a fresh guest, or without one be its console.

`exit` in the console's shell, or `poweroff -f`, ends the guest. Another terminal reaches it from the namespace that is
printed: `ip netns exec NAME ping 192.0.2.2`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from apps.signals import end_tidily
from interop.guest.image import build_image
from interop.guest.machine import BootOptions, GuestError, boot
from interop.outcome import MissingToolError


def main() -> int:
    """Boot, run, and end with the command's status."""
    parser = argparse.ArgumentParser(prog="python -m interop.guest", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mtu", type=int, default=9000, help="of the Ethernet between us and the guest, in bytes")
    parser.add_argument("--no-multipath", action="store_true", help="each path to a namespace is a disk of its own")
    parser.add_argument("--seconds", type=float, default=60, help="the command's limit")
    parser.add_argument("--capture", type=Path, help="pcapng file to write while the command runs")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="for the guest's shell")
    arguments = parser.parse_args()
    end_tidily()
    try:
        return _command(arguments) if arguments.command else _console(_options(arguments))
    except (GuestError, MissingToolError) as error:
        print(f"interop.guest: {error}", file=sys.stderr)
        return 1


def _options(arguments: argparse.Namespace) -> BootOptions:
    return BootOptions(arguments.mtu, multipath=not arguments.no_multipath)


def _command(arguments: argparse.Namespace) -> int:
    with boot(build_image(), _options(arguments)) as machine:
        script = arguments.command[0] if len(arguments.command) == 1 else shlex.join(arguments.command)
        if arguments.capture:
            with machine.capture(arguments.capture):
                result = machine.run(script, seconds=arguments.seconds)
        else:
            result = machine.run(script, seconds=arguments.seconds)
    print(result.output, end="")
    return result.status


def _console(options: BootOptions) -> int:
    with boot(build_image(), options, console=True) as machine:
        print(f"\r\nthe guest is ready; our side of its network is the namespace {machine.namespace.name}\r")
        while machine.is_running:
            time.sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
