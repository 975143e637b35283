"""The capture file of a command: everything that it sends and receives, over whatever transports, in one file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from apps.output import complain
from transports.capture import CaptureFile, CapturingTransport
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.stream import AwaitableStreams
from transports.stream_capture import CapturingStreams


class Recording:
    """Where to record, and how many bytes; None and 0 for nowhere and no limit. A context that closes the file.

    The file is made with the first transport; TransportError when it cannot be.
    """

    def __init__(self, path: Path | None, *, limit_bytes: int = 0) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: CaptureFile | None = None

    def transport(self, inner: DatagramTransport) -> DatagramTransport:
        """`inner`, or a recording one around it."""
        file = self._opened()
        return inner if file is None else CapturingTransport(inner, file, RealClock())

    def streams(self, inner: AwaitableStreams) -> AwaitableStreams:
        """`inner`, or a recording one around it."""
        file = self._opened()
        return inner if file is None else CapturingStreams(inner, file, RealClock())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> CaptureFile | None:
        if self._file is None and self._path is not None:
            self._file = CaptureFile(self._path, limit_bytes=self._limit_bytes, on_stop=complain)
        return self._file
