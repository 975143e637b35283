"""Workloads with a clock on them: what `baremetal perf` runs, what the demo measures with, and what benchmarks repeat.

    pattern    which blocks, in which order, read or written, with which content
    latency    how long each took: a histogram that costs two additions to record
    report     what a run measured, as a table, as JSON
    rdma       the verbs workloads, their latency, and the process at their other end
    sweep      the same over several sizes, as a table; plot draws it
    nvme       the workloads on a connected namespace

Left out: the command line itself (`apps.perf.commands`) parses and prints, nothing else does.
"""
