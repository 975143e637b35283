"""Our ends of well-known RDMA programs: `python -m interop.peers PROGRAM --own ADDRESS [--remote ADDRESS]`.

Each module speaks the exchange of one program (or of a family that shares it) over `stacks.rdma.sync`, as client and
as server, and checks every byte that it is sent. `terms` is what a run is told, `link` what waits for completions.
"""
