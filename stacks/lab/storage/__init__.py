"""Storage in the laboratory: NVMe commands from one node to another, over RDMA, TCP or QUIC, on the same links.

    commands the workload: so many commands at a time, and how long each takes
    flow     a flow of an experiment (`sender = "nvme:quic"`): a target, an initiator and the way between them
    ends     both ends of each transport: the project's own NVMe cores on its own RDMA and QUIC stacks
    streams  TCP between them: connections whose packets a model sender sends, and whose bytes are real

There is no TCP stack of this project in virtual time, so TCP is the laboratory's model sender (`stacks.model`) with
RFC 9002's recovery and a controller; the bytes come out at the other end, in order, when their packets have arrived.
"""
