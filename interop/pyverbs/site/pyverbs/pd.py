"""Protection domains."""

from stacks.rdma.verbs.pd import PD, ParentDomain, ParentDomainContext, ParentDomainInitAttr

__all__ = ["PD", "ParentDomain", "ParentDomainContext", "ParentDomainInitAttr"]
