"""What aioquic's H3Connection takes for a QUIC connection: the few calls that it makes, on one of ours."""

from __future__ import annotations

from stacks.quic.http3.core import HttpCore
from stacks.runtime.errors import LocalError


class _Role:
    """`QuicConfiguration`, as far as it is looked at."""

    def __init__(self, *, is_client: bool) -> None:
        self.is_client = is_client


class QuicSurface:
    """Stands for `aioquic.quic.connection.QuicConnection`, under its names."""

    def __init__(self, core: HttpCore) -> None:
        self._core = core
        self._connection = core.connection
        self.configuration = _Role(is_client=core.connection.is_client)
        self._quic_logger = None
        # No datagrams of HTTP are announced: the peer's setting for them has no counterpart to be compared with.
        self._remote_max_datagram_frame_size = 0

    def get_next_available_stream_id(self, is_unidirectional: bool = False) -> int:
        """A new stream; the library sends on it at once."""
        return self._connection.open_stream(is_unidirectional=is_unidirectional)

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """The library calls this for nothing at all as well, after each header block."""
        if data or end_stream:
            self._connection.write(stream_id, data, is_fin=end_stream)

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        """Of a request that ended too early."""
        try:
            self._connection.reset_stream(stream_id, error_code)
        except LocalError:
            return  # it is over in any case

    def send_datagram_frame(self, data: bytes) -> None:
        """Not offered."""
        raise LocalError(f"datagrams of HTTP are not spoken ({len(data)} bytes)")

    def close(self, error_code: int, reason_phrase: str) -> None:
        """The peer broke a rule of HTTP/3."""
        self._connection.close(error_code, reason_phrase, now=self._core.now)
