"""Experiments in real time: `baremetal lab run EXPERIMENT --real`.

    runner      the runner `real`, which adds itself to those of `stacks.lab.runners`
    refusals    what real time cannot do, said before anything starts
    options     a link of an experiment as options of `baremetal link tun`
    bottleneck  that link as a process between two network namespaces, and what it recorded
    loop        everything that sends and receives, in one loop: due actions, sockets, deadlines
    model_end   a flow of ours, over UDP with the laboratory header
    quic_end    a flow of our QUIC
    kernel_end  a flow of the kernel's TCP
    packets     packets that no controller governs, over UDP
    samples     flows at intervals
    measured    all of it as a run that tables and metrics can be made of

Two processes: the link, and both ends of all flows. Both go before all others where that is allowed, and both count how
late they are.
"""
