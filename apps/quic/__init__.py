"""`baremetal quic`: files over HTTP/3 on our own QUIC, and HTTP/0.9 as interoperability tests speak it."""
