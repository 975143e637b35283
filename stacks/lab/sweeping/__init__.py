"""Many runs: on all cores of this machine, or on a cluster, each kept as soon as it is done.

    run_all(jobs, store, pool) -> for each its number and how it went

`jobs` is what one run is, in values that cross to another process; `processes` and `cluster` are the two pools.
Whatever ends a sweep, what was done is kept, and the same command goes on from there.
"""
