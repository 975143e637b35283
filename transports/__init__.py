"""Everything that moves bytes or tells the time: clocks, the driver, sockets, simulated and in-process networks.

A protocol core (see `stacks`) neither sends nor waits. Here live the things that do it on its behalf: `clock` says what
time it is, `driver` carries bursts and deadlines between a core and a transport, `udp` is a kernel socket with
segmentation offload, `simulation` a network in virtual time that repeats bit for bit, `memory` its twin for trio,
`capture` a pcapng writer around any of them. `datagram` holds the types they share.
"""
