"""`baremetal rdma`: a look at the devices of running processes, and faults in them on demand.

Everything comes through the processes' control sockets (transports.control); `apps.serving` answers there.
"""
