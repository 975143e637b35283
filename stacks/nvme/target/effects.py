"""What commands and features do to the rest: log pages 05h and 12h.

Which of them there are is not written here: that comes from the tables that commands are looked up in, so the pages
cannot say anything else.

Follows NVM Express Base 2.0 5.16.1.6 and 5.16.1.18.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wire.nvme.logs_codec import EffectsEntry, FeatureEffectsEntry
from wire.nvme.opcodes import AdminOpcode, IoOpcode


def command_effects(admin: Collection[int], io: Collection[int]) -> bytes:
    """Log page 05h of a controller with these admin and I/O opcodes. Fabrics commands have no place in it."""
    entries = [_entry(opcode, ADMIN_SCOPES.get(opcode, CONTROLLER)) if opcode in admin else NONE for opcode in OPCODES]
    entries += [_entry(opcode, NAMESPACE) if opcode in io else NONE for opcode in OPCODES]
    return b"".join(entry.encode() for entry in entries).ljust(4096, b"\0")


def feature_effects(scopes: Mapping[int, int]) -> bytes:
    """Log page 12h of a controller with these features, by FID: the scope of each, `NAMESPACE` or `CONTROLLER`."""
    return b"".join(
        FeatureEffectsEntry(supported=fid in scopes, scope=scopes.get(fid, 0)).encode() for fid in range(256)
    )


def _entry(opcode: int, scope: int) -> EffectsEntry:
    changes_blocks = scope == NAMESPACE and opcode in CHANGES_BLOCKS
    return NONE if opcode == FABRICS else EffectsEntry(supported=1, lba_content=changes_blocks, scope=scope)


OPCODES = range(256)
FABRICS = AdminOpcode.FABRICS.value
NONE = EffectsEntry()

NAMESPACE, CONTROLLER = 1 << 0, 1 << 1
"""Bits of a scope."""

ADMIN_SCOPES: dict[int, int] = {
    AdminOpcode.GET_LOG_PAGE.value: NAMESPACE | CONTROLLER,
    AdminOpcode.IDENTIFY.value: NAMESPACE | CONTROLLER,
    AdminOpcode.SET_FEATURES.value: NAMESPACE | CONTROLLER,
    AdminOpcode.GET_FEATURES.value: NAMESPACE | CONTROLLER,
}
"""Of admin commands that are not about the controller alone."""

CHANGES_BLOCKS = frozenset(
    (
        IoOpcode.WRITE.value,
        IoOpcode.WRITE_UNCORRECTABLE.value,
        IoOpcode.WRITE_ZEROES.value,
        IoOpcode.DATASET_MANAGEMENT.value,
        IoOpcode.COPY.value,
    )
)
"""I/O commands that may change what blocks hold."""
