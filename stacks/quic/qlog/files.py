"""A folder of logs: the file of a connection is named by its original destination connection ID and by the end."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from stacks.quic.qlog.tracer import QlogTracer


class QlogFiles:
    """A `TracerFactory`: `FOLDER/ODCID_client.sqlog` or `..._server.sqlog` for each connection (main schema 12.1);
    `..._server_2.sqlog` where a server begins again for the same client.

    folder: is made where it does not exist; OSError where it cannot be. wall_clock: of the logs, see `QlogTracer`.
    failure: the first error of a file that could not be opened or written (a full disk); its log ends there, and
    connections go on. `close` writes out the logs of connections that are not over; `with` does it.
    """

    def __init__(self, folder: Path, *, wall_clock: str | None = None) -> None:
        self.folder = folder
        self.wall_clock = wall_clock
        self.failure: OSError | None = None
        self._open_files: dict[_File, None] = {}
        self._names: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, *, is_client: bool) -> QlogTracer:
        """The tracer of a connection that begins."""
        return QlogTracer(self._open, is_client=is_client, wall_clock=self.wall_clock)

    def close(self) -> None:
        """Write out what is buffered. What connections report afterwards is written when they end."""
        for file in self._open_files:
            file.flush()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _open(self, name: str) -> _File:
        # A server may begin twice for one client: its first Initial packet was corrupted, and forgotten.
        count = self._names.pop(name, 0) + 1
        self._names[name] = count
        if len(self._names) > NAMES_MAX:
            del self._names[next(iter(self._names))]
        file = _File(self.folder / f"{name if count == 1 else f'{name}_{count}'}.sqlog", self)
        self._open_files[file] = None
        return file

    def forget(self, file: _File) -> None:
        """It is closed."""
        self._open_files.pop(file, None)


class _File:
    """Written in pieces of `PIECE_BYTES`, so that an event is no system call."""

    def __init__(self, path: Path, owner: QlogFiles) -> None:
        self._path = path
        self._owner = owner
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._mode = "wb"
        self._is_over = False

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= PIECE_BYTES:
            self.flush()

    def close(self) -> None:
        self.flush()
        self._owner.forget(self)

    def flush(self) -> None:
        # Opened for each piece: a server of thousands of connections has no thousands of open files.
        parts, self._parts, self._waiting_bytes = self._parts, [], 0
        if self._is_over or not parts:
            return
        try:
            with self._path.open(self._mode) as file:
                file.write(b"".join(parts))
            self._mode = "ab"
        except OSError as error:
            self._is_over = True
            self._owner.failure = self._owner.failure or error


PIECE_BYTES = 1 << 16
NAMES_MAX = 4096
