"""The three types of controller, and in which properties and limits they differ.

    I/O             namespaces and I/O queues
    discovery       the discovery log, and what belongs to a persistent connection
    administrative  management of a subsystem: no I/O queues, no namespaces

Which commands, pages and features each type has is in the tables of `identify`, `log_pages` and `features`.

Follows NVM Express Base 2.0 3.1.2 and 3.1.3.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wire.nvme.kinds import ControllerType
from wire.nvme.opcodes import DISCOVERY_NQN
from wire.nvme.registers_codec import ControllerCapabilities, ControllerConfiguration


@dataclass(frozen=True, slots=True)
class ControllerKind:
    """A type of controller.

    type: CNTRLTYPE; capabilities: the property CAP; command_sets: values of CC.CSS that it can be enabled with.
    io_queues_max: 0 for none. has_entry_sizes: whether CC.IOSQES and CC.IOCQES must fit.
    has_ready_timeouts: whether there is a property CRTO.
    """

    type: ControllerType
    capabilities: int
    command_sets: Collection[int]
    io_queues_max: int
    has_entry_sizes: bool
    has_ready_timeouts: bool

    def can_enable(self, configuration: ControllerConfiguration) -> bool:
        """Whether CC asks for what there is (NVMe Base 2.0 3.1.3.5)."""
        sizes = (configuration.iosqes, configuration.iocqes)
        return (
            configuration.mps == 0
            and configuration.ams == 0
            and configuration.css in self.command_sets
            and (not self.has_entry_sizes or sizes == (SQ_ENTRY_SHIFT, CQ_ENTRY_SHIFT))
        )


def kind_of_nqn(nqn: str) -> ControllerKind:
    """The type that a subsystem's controllers have when nobody says more."""
    return DISCOVERY if nqn == DISCOVERY_NQN else IO


def _capabilities(*, css: int, crms: int) -> int:
    return int.from_bytes(
        ControllerCapabilities(
            mqes=QUEUE_ENTRIES_MAX - 1, cqr=1, timeout=READY_TIMEOUT_HALF_SECONDS, css=css, crms=crms
        ).encode(),
        "little",
    )


QUEUE_ENTRIES_MAX = 256
"""Largest SQ; each entry of one costs the target a receive buffer."""
IO_QUEUES_MAX = 128

SQ_ENTRY_SHIFT, CQ_ENTRY_SHIFT = 6, 4
READY_TIMEOUT_HALF_SECONDS = 15

_CSS_NVM, _CSS_SEVERAL, _CSS_NONE = 1 << 0, 1 << 6, 1 << 7
_SELECT_NVM, _SELECT_ALL, _SELECT_NONE = 0, 6, 7
"""CC.CSS: the NVM command set alone, all that are supported, or the admin command set and nothing else."""

_CRMS_WITH_MEDIA = 0x1
"""Ready means that the namespaces are; required since NVMe Base 2.0, and with it the property CRTO."""

IO = ControllerKind(
    ControllerType.IO,
    capabilities=_capabilities(css=_CSS_NVM | _CSS_SEVERAL, crms=_CRMS_WITH_MEDIA),
    command_sets=(_SELECT_NVM, _SELECT_ALL),
    io_queues_max=IO_QUEUES_MAX,
    has_entry_sizes=True,
    has_ready_timeouts=True,
)

DISCOVERY = ControllerKind(
    ControllerType.DISCOVERY,
    # Linux selects what CAP.CSS offers and writes entry sizes, which a discovery controller has no use for; nvmet takes
    # both as well. CRTO is reserved here, so CRMS is 0.
    capabilities=_capabilities(css=_CSS_NVM | _CSS_SEVERAL, crms=0),
    command_sets=(_SELECT_NVM, _SELECT_ALL, _SELECT_NONE),
    io_queues_max=0,
    has_entry_sizes=False,
    has_ready_timeouts=False,
)

ADMINISTRATIVE = ControllerKind(
    ControllerType.ADMINISTRATIVE,
    capabilities=_capabilities(css=_CSS_NONE, crms=_CRMS_WITH_MEDIA),
    # A host that knows nothing of CAP.CSS bit 7 selects the NVM command set, and gets no harm of it.
    command_sets=(_SELECT_NVM, _SELECT_ALL, _SELECT_NONE),
    io_queues_max=0,
    has_entry_sizes=False,
    has_ready_timeouts=True,
)
