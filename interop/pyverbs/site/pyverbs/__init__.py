"""The names of rdma-core 44's pyverbs over `stacks.rdma.verbs`; see `interop.pyverbs`."""
