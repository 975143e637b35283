"""NVMe statuses as the errors that NBD knows."""

from __future__ import annotations

from wire.nbd import NbdError
from wire.nvme.status import IoCommandStatus, StatusCode


def nbd_error(status: int, *, is_change: bool) -> NbdError:
    """The error for an I/O command's status, which is not 0. is_change: whether it was to change blocks."""
    if status == StatusCode.LBA_OUT_OF_RANGE:
        # The namespace became smaller, which a client can only be told this way (doc/proto.md, error values).
        return NbdError.ENOSPC if is_change else NbdError.EINVAL
    return _ERRORS.get(status, NbdError.EIO)


_ERRORS = {
    StatusCode.CAPACITY_EXCEEDED.value: NbdError.ENOSPC,
    StatusCode.NAMESPACE_WRITE_PROTECTED.value: NbdError.EPERM,
    IoCommandStatus.WRITE_TO_READ_ONLY_RANGE.value: NbdError.EPERM,
    StatusCode.OPERATION_DENIED.value: NbdError.EPERM,
    StatusCode.ACCESS_DENIED.value: NbdError.EPERM,
    StatusCode.RESERVATION_CONFLICT.value: NbdError.EPERM,
    StatusCode.INVALID_OPCODE.value: NbdError.EINVAL,
    StatusCode.INVALID_FIELD.value: NbdError.EINVAL,
    IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED.value: NbdError.EINVAL,
}
"""What is not here is EIO, as everything that a client can do nothing about."""
