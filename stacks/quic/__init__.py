"""A QUIC transport: RFC 9000, 9001 and 9002, sans-IO, with the laboratory's congestion controllers."""
