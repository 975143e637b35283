"""Frame types (RFC 9000 19, RFC 9221 4, and of the drafts below, whose numbers may change until they are RFCs).

ACK frequency: draft-ietf-quic-ack-frequency-13 4, 5. RESET_STREAM_AT: draft-ietf-quic-reliable-stream-reset-10 4.
Multipath: draft-ietf-quic-multipath-21 4; earlier ones had numbers of their own.
"""

from __future__ import annotations

from wire.errors import WireError
from wire.quic.varint import Buffer, read_varint, varint_bytes

FRAME_PADDING, FRAME_PING, FRAME_ACK, FRAME_ACK_ECN = 0x00, 0x01, 0x02, 0x03
FRAME_RESET_STREAM, FRAME_STOP_SENDING, FRAME_CRYPTO, FRAME_NEW_TOKEN = 0x04, 0x05, 0x06, 0x07
FRAME_STREAM = 0x08
"""To 0x0f: with the three bits below."""
STREAM_FIN, STREAM_LEN, STREAM_OFF = 0x01, 0x02, 0x04
FRAME_MAX_DATA, FRAME_MAX_STREAM_DATA = 0x10, 0x11
FRAME_MAX_STREAMS_BIDI, FRAME_MAX_STREAMS_UNI = 0x12, 0x13
FRAME_DATA_BLOCKED, FRAME_STREAM_DATA_BLOCKED = 0x14, 0x15
FRAME_STREAMS_BLOCKED_BIDI, FRAME_STREAMS_BLOCKED_UNI = 0x16, 0x17
FRAME_NEW_CONNECTION_ID, FRAME_RETIRE_CONNECTION_ID = 0x18, 0x19
FRAME_PATH_CHALLENGE, FRAME_PATH_RESPONSE = 0x1A, 0x1B
FRAME_CONNECTION_CLOSE, FRAME_CONNECTION_CLOSE_APPLICATION = 0x1C, 0x1D
FRAME_HANDSHAKE_DONE, FRAME_IMMEDIATE_ACK, FRAME_RESET_STREAM_AT = 0x1E, 0x1F, 0x24
FRAME_DATAGRAM, FRAME_DATAGRAM_LENGTH = 0x30, 0x31
FRAME_ACK_FREQUENCY = 0xAF
FRAME_PATH_ACK, FRAME_PATH_ACK_ECN = 0x3E, 0x3F
FRAME_PATH_ABANDON, FRAME_PATH_STATUS_BACKUP, FRAME_PATH_STATUS_AVAILABLE = 0x3E75, 0x3E76, 0x3E77
FRAME_PATH_NEW_CONNECTION_ID, FRAME_PATH_RETIRE_CONNECTION_ID = 0x3E78, 0x3E79
FRAME_MAX_PATH_ID, FRAME_PATHS_BLOCKED, FRAME_PATH_CIDS_BLOCKED = 0x3E7A, 0x3E7B, 0x3E7C


def decode_type(buffer: Buffer, offset: int) -> tuple[int, int]:
    """The type of the frame at `offset`, and the offset behind it.

    WireError where it is cut off, or not in its shortest form (RFC 9000 12.4).
    """
    frame_type, end = read_varint(buffer, offset)
    if end - offset != varint_bytes(frame_type):
        raise WireError(f"frame type {frame_type:#x} is not in its shortest form", format="QuicFrame", offset=offset)
    return frame_type, end
