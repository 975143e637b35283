"""QUIC: variable-length integers, packet headers, frames, transport parameters (RFC 9000, 9221, 9368, 9369)."""
