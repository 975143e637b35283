"""More than one process for the connections of TCP ports.

    owner:   listening, ICReq, Connect; admin queues and discovery; controllers, namespaces, and every rule
      |  a connection, once its I/O queue is connected (`handover`)
    worker:  PDUs, digests, R2T, data of capsules; SQ flow control
      |  commands and data, completions and data (`channel`: one Unix stream for each worker and port)
    owner:   the connection's queue, which runs a command as if it had come over a connection of its own

The worker drives the same core as the owner does, `TcpTarget` with its connections; only its queues are others
(`worker_queue`). In the owner `ForwardedConnection` stands where the connection was, so the port, its queues and
controllers see no difference.

    channel      messages over a stream, both ways; host_side, owner_side: what each end makes of them
    handover     which connections go where, and what happens when a worker dies
    worker       the worker's core
    aio          the processes

What a host is owed does not depend on where its connection is: a worker that dies takes its connections along, as a
network that fails does, and what was acknowledged by a Flush is on the medium, since the owner did it.
"""
