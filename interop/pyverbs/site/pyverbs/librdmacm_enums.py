"""The enums of librdmacm, as later versions spell their module."""

from stacks.rdma.verbs import librdmacm_enums as _source

globals().update({name: value for name, value in vars(_source).items() if name.startswith(("RDMA_", "RAI_", "rdma_"))})
