"""rdma-core's own Python tests against our devices.

    packages.py   takes Debian's python3-pyverbs apart in a cache, for its tests alone
    session.py    a process that runs them, with `site` first on its path: there lies a module named `pyverbs`
    table.py      what came of each test, as docs/pyverbs.md has it
    case.py       all of it, as a judge for `python -m interop`

`site/pyverbs` says the names of rdma-core 44 over `stacks.rdma.verbs`, and nothing else. It is on the path of those
processes only: never installed, and not in the distribution.
"""
