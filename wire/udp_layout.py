"""UDP (RFC 768)."""

from construct import Int16ub, Struct

UDP_HEADER = (
    Struct("source_port" / Int16ub, "destination_port" / Int16ub, "length" / Int16ub, "checksum" / Int16ub)
    * "UDP header (RFC 768). length: of header and payload in bytes. checksum: 0 when the sender made none."
)
