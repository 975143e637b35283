"""How engines reach host memory: the `Dma` contract and the memories under it.

A device is given a `Dma`; registering memory attaches a buffer and yields its address; the engine maps ranges when it
moves bytes. `FlatDma` is the fast one. `ScatteredDma` cuts every range at page boundaries and `FaultingDma` takes pages
away, so that an engine is tested against the memory that virtual machines, IOMMUs and on-demand paging give it.
`PersistentDma` makes of any of them one that survives a loss of power, as far as it was flushed.
Keys, access rights and protection domains are not here: verbs check them first.
"""

from stacks.dma.contract import Direction, Dma, DurableDma, Fault, Mapping
from stacks.dma.faulting import FaultingDma
from stacks.dma.flat import FlatDma, FlatMapping
from stacks.dma.persistent import PersistentDma
from stacks.dma.scattered import PAGE_BYTES, ScatteredDma

__all__ = [
    "PAGE_BYTES",
    "Direction",
    "Dma",
    "DurableDma",
    "Fault",
    "FaultingDma",
    "FlatDma",
    "FlatMapping",
    "Mapping",
    "PersistentDma",
    "ScatteredDma",
]
