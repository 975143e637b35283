"""What passed a link, read: datagrams of a capture, packets decrypted with key logs, frames, connections.

    datagrams    of a pcapng file of `baremetal link`, as the four points of the link saw them
    key_log      secrets by client random
    frames       the frames of a decrypted payload
    hello        what is wanted of TLS messages
    connection   one connection's keys and numbers, from both ends
    trace        all datagrams that were sent, in order, as packets

Only what an end sent is decrypted, at the point before the link damages or drops it.
"""
