"""The processes of a cell's ends: started with their words in a file, waited for, ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from apps.processes import environment
from interop.outcome import DisagreementError
from interop.quic.peers.peer import Command


@contextlib.contextmanager
def serving(command: Command, prefix: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """The server within the block, from when it listens. DisagreementError when it does not come to."""
    process = _start(command, prefix, log)
    try:
        _wait_for_port(process, port, log)
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if not command.ends_with_stdin and process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_client(commands: Sequence[Command], prefix: Sequence[str], log: Path, timeout_s: float) -> str:
    """Run all, in so many seconds together; what went wrong, empty when nothing did."""
    deadline = time.monotonic() + timeout_s
    for command in commands:
        process = _start(command, prefix, log)
        assert process.stdin is not None
        process.stdin.close()
        try:
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"the client did not end within {timeout_s:g} s"
        if status:
            return f"the client ended with status {status}: {last_words(log)}"
    return ""


def last_words(log: Path) -> str:
    """The last line of a log."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _start(command: Command, prefix: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    words = [*prefix, *command.words]
    with log.open("ab") as file:
        # Very long command lines (1999 URLs) are told by their beginning.
        file.write(f"$ {' '.join(words)[:2000]}\n".encode())
        file.flush()
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env={**environment(), **command.environment},
            start_new_session=True,
        )


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + LISTENING_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DisagreementError(f"the server ended with status {process.returncode}: {last_words(log)}")
        for table in ("udp", "udp6"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{process.pid}/net/{table}").read_text()
                if any(f":{port:04X} " in line.split(":", 1)[1][:45] for line in text.splitlines()[1:]):
                    return
        time.sleep(0.01)
    raise DisagreementError(f"the server did not listen within {LISTENING_S:g} s: {last_words(log)}")


LISTENING_S = 15.0
ENDING_S = 10.0
