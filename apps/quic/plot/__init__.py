"""`baremetal quic plot`: from a qlog trace, ours or another's, to pictures.

    file -> reading (records, one after the other) -> naming (one vocabulary) -> collecting (columns) -> pictures, page

    json_stream    JSON that is larger than the memory for it
    spans          which packet numbers were acknowledged before
    trace          what is kept of one connection: columns of numbers, some tens of bytes a packet
    pictures/      sequence, congestion, rtt, multiplexing

Reads what qlog 0.3 called its events (aioquic, ngtcp2, quiche ...) and what the drafts of 2025 and 2026 call them, as
JSON text sequences, a JSON object a line, or one JSON document.
"""
