"""Our QUIC and others', through `baremetal link`: the cases of the QUIC interop runner, without containers.

    catalogue -> play: server | link, which captures | client  ->  dissect  ->  criteria  ->  an Outcome

    catalogue    the cases: files, the path, what each end is told, what has to be seen afterwards
    peers        how each implementation is started as server and as client
    path         the emulated links: between UDP sockets, or between network namespaces
    play         one cell: a case, a client, a server, a seed
    dissect      captured datagrams, with key logs: packets, frames, connections
    criteria     what a case demands of them
    lacking      what a peer cannot do, by cell, with the reason; a run proves it
    matrix       many cells, and the page that tells of them

Packets are decrypted by aioquic's crypto and read by code of this folder, not by what is judged. Follows
github.com/quic-interop/quic-interop-runner, testcases_quic.py at 1d6f655, in what is demanded.
"""
