"""`baremetal bench`: the project's claims of speed, each beside a yardstick measured in the same minutes.

    rows        the table: what each row is, and from which readings it comes
    probes      one reading each: a `baremetal perf` run, iperf3, a UDP ping-pong, a timed decoder
    yardsticks  readings of other projects' programs: UCX and libfabric over TCP
    nbd         readings of fio on disks over NBD, ours and those of others
    link        the highest rates at which `baremetal link` is on time
    session     runs all probes round after round, and takes medians
    pingpong    the two ends of the UDP ping-pong

Every probe runs with its two processes bound to one processor each. A reading that cannot be had leaves null in its
rows, with the reason. All of it is on loopback, where a batch of datagrams crosses the kernel in one piece.
"""
