"""A data-centre fabric in virtual time: hosts, leaves and spines, flows of published sizes, and their slowdowns.

    FabricConfig, scheme(name, config), poisson_arrivals(...) -> FabricRun.run -> FabricResult -> slowdown_bins

It is the experiment of HPCC's figure 11 (SIGCOMM 2019) on a smaller fabric: `docs/datacentre.md` says how it is scaled
and what comes out.
"""

from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.run import FabricResult, FabricRun, FlowRecord
from stacks.lab.fabric.schemes import SCHEMES, Scheme, scheme
from stacks.lab.fabric.slowdown import SlowdownBin, percentile, slowdown_bins

__all__ = [
    "SCHEMES",
    "FabricConfig",
    "FabricResult",
    "FabricRun",
    "FlowRecord",
    "Scheme",
    "SlowdownBin",
    "percentile",
    "scheme",
    "slowdown_bins",
]
