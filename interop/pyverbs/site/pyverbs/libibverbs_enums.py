"""The enums of libibverbs, as later versions spell their module."""

from stacks.rdma.verbs import libibverbs_enums as _source

globals().update({name: value for name, value in vars(_source).items() if "IBV_" in name or name.startswith("ibv_")})
