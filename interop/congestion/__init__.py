"""Our controllers against the Linux kernel's, on the same bottleneck.

cells        a bottleneck: rate, round trip, buffer
bottleneck   the same as a process, between two network namespaces of its own
flows        what a flow did, of the kernel's or of ours, in the same words
traces       flows of the kernel as files: tests/traces, made by `python -m interop.congestion record`
phases       what can be told of a flow: its phases, gains, spacings, bandwidth
comparing    where two flows differ by more than they may
ours         our flows: in virtual time, and in real time over UDP
envelope     Performance Envelopes: conformance with the kernel, after QUICbench
beside       ours and a kernel's flow on one link at once, by `baremetal lab run --real`
cases        the cases of `make interop`
"""
