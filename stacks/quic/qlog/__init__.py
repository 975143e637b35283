"""qlog: what connections report, as JSON text sequences, one file a connection and end.

    Tracer calls -> QlogTracer (one event, one record) -> sink.write(bytes)         QlogFiles: a folder of such files

    frames        the plain payload of a packet as the list of its frames
    parameters    transport parameters
    words         what the schema calls things

Follows draft-ietf-quic-qlog-main-schema-14 and draft-ietf-quic-qlog-quic-events-13; what of it is written is the same
in the editors' drafts of July 2026. Records are written as they come: nothing is kept of an event but the last value of
what is told only when it changes. Times are the core's `now`, exact to the nanosecond, so that the log of a simulated
connection is the same bytes for a seed.

Left out: payload bytes and keys (a log may be given away), spin bits, and what only a library with other layers has
(frames_created, frames_parsed, marked_for_retransmit, udp_datagram_dropped).
"""

from stacks.quic.qlog.files import QlogFiles
from stacks.quic.qlog.tracer import QlogTracer, Sink

__all__ = ["QlogFiles", "QlogTracer", "Sink"]
