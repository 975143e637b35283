"""Flows of the real QUIC stack in the laboratory: connections with TLS and all, whose packets cross the same links.

    ends    both ends as programs over an endpoint: one writes bytes on a stream, the other reads and counts them
    host    an endpoint on a timeline: datagrams out as packets of links, packets in as datagrams
    flow    a flow in virtual time: two hosts, and the way between them

In real time (`baremetal lab run --real`) the same ends have UDP sockets.
"""
