"""ECN marks of a simulated switch: the ramp that link models have as well."""

from transports.link.ecn_ramp import EcnRamp

__all__ = ["EcnRamp"]
