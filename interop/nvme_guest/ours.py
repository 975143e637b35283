"""Our commands in the guest's namespace, each in a process of its own, which all share what was imported once.

`Ours` starts `python -m interop.nvme_guest.ours` there. That process takes the words of a command as a line of JSON,
runs it in a child, and answers with a line: `[status, standard output, standard error]`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from types import TracebackType
from typing import IO, Any, Self

from interop.guest.network import Namespace
from interop.nvme_guest.target import ROOT
from interop.outcome import DisagreementError


class Ours:
    """`baremetal` in a namespace; a context manager that ends the process behind it."""

    def __init__(self, namespace: Namespace) -> None:
        command = namespace.command(sys.executable, "-m", "interop.nvme_guest.ours")
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(self, *words: str, status: int = 0) -> Any:
        """What a command prints as JSON, or what it complains of when it prints nothing.

        DisagreementError when it ends with another status.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*words, "--json"]) + "\n")
        line = self._process.stdout.readline()
        if not line:
            raise DisagreementError(f"what runs our commands ended with {self._process.wait()} at {' '.join(words)}")
        found, output, errors = json.loads(line)
        if found != status:
            raise DisagreementError(f"{' '.join(words)} ends with {found}: {errors.strip()}")
        return json.loads(output) if output.strip() else errors

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Run commands until standard input ends."""
    import apps.command_line  # noqa: F401 (so that no child has to)

    for line in sys.stdin:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if not child:
                _become(json.loads(line), output, errors)
            _, status = os.waitpid(child, 0)
            texts = [_text(file) for file in (output, errors)]
        print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), flush=True)


def _become(words: list[str], output: IO[bytes], errors: IO[bytes]) -> None:
    """Turn this process into the command; does not return."""
    from apps.main import main as baremetal

    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    sys.argv[1:] = words
    status = 70
    try:
        baremetal()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 (it must not go on as the process that it was)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()
