"""Queue pair attributes, and what a modify checks of them (IBTA 11.2.5.2).

Which of them each transition needs and allows is in `transitions`; here are their names, bounds, and the errors.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import TYPE_CHECKING

from stacks.rdma.enums import PathMigrationState, QpState, QpType
from stacks.rdma.transitions import QpAttribute, rule_of
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.qp import QpCapacity


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressVector:
    """Where a connected queue pair's peer is.

    destination: the peer's IP address, in numeric text form. traffic_class: the IP header's byte. hop_limit: TTL.
    """

    destination: str
    traffic_class: int = 0
    hop_limit: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternatePath:
    """A second way to the peer; kept and told by `Qp.query`, never taken: a device has one port and one address.

    timeout: 5-bit field, as the attribute of that name.
    """

    av: AddressVector
    pkey_index: int = 0
    port: int = 1
    timeout: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QpAttributes:
    """What `Qp.modify` is given and `Qp.query` returns; None means not given, or not set.

    path_mtu in bytes (256 to 4096); timeout: 5-bit field, 4.096 us * 2^timeout, 0 for never; retry_cnt and rnr_retry
    0 to 7 (rnr_retry 7: without end); rq_psn and sq_psn 24 bits; min_rnr_timer: 5-bit field; access: bits of `Access`.
    en_sqd_async_notify: raise SQ_DRAINED once nothing is outstanding. path_mig_state: MIGRATED is the only one.
    cap: from `query` alone, sizes are fixed at creation. rate_limit: no queue pair type of ours takes one.
    sq_draining: from `query` alone; whether sends that were begun before SQD are still outstanding.
    """

    state: QpState | None = None
    cur_state: QpState | None = None
    en_sqd_async_notify: bool | None = None
    access: int | None = None
    pkey_index: int | None = None
    port: int | None = None
    qkey: int | None = None
    av: AddressVector | None = None
    path_mtu: int | None = None
    timeout: int | None = None
    retry_cnt: int | None = None
    rnr_retry: int | None = None
    rq_psn: int | None = None
    max_qp_rd_atomic: int | None = None
    alt_path: AlternatePath | None = None
    min_rnr_timer: int | None = None
    sq_psn: int | None = None
    max_dest_rd_atomic: int | None = None
    path_mig_state: PathMigrationState | None = None
    cap: QpCapacity | None = None
    dest_qpn: int | None = None
    rate_limit: int | None = None
    sq_draining: bool | None = None

    @property
    def mask(self) -> QpAttribute:
        """Which attributes are given."""
        mask = QpAttribute(0)
        for field in fields(self):
            if getattr(self, field.name) is not None and field.name != "sq_draining":
                mask |= QpAttribute[field.name.upper()]
        return mask


def check_attributes(qp_type: QpType, current: QpState, attributes: QpAttributes) -> QpState:
    """The state that a modify leads to; raises LocalError naming what is missing, forbidden or out of range."""
    target = attributes.state if attributes.state is not None else current
    given = attributes.mask & ~QpAttribute.STATE
    required, optional = rule_of(qp_type, current, target)
    if missing := required & ~given:
        raise LocalError(f"{current.name} to {target.name} of a {qp_type.name} queue pair needs {_names(missing)}")
    if forbidden := given & ~(required | optional):
        raise LocalError(
            f"{current.name} to {target.name} of a {qp_type.name} queue pair does not take {_names(forbidden)}"
        )
    _check_current(current, attributes.cur_state)
    _check_values(attributes)
    return target


def _check_current(current: QpState, assumed: QpState | None) -> None:
    """CUR_STATE is what the caller believes, who may not have noticed an error yet (IBTA 11.2.5.2)."""
    if assumed is None:
        return
    if assumed not in _ASSUMABLE:
        raise LocalError(f"cur_state may name {', '.join(state.name for state in _ASSUMABLE)}, not {assumed.name}")
    if assumed is not current:
        raise LocalError(f"cur_state says {assumed.name}, but the queue pair is in {current.name}")


def _check_values(attributes: QpAttributes) -> None:
    for name, bounds in _RANGES.items():
        _check_range(name, getattr(attributes, name), bounds)
    if attributes.path_mtu is not None and attributes.path_mtu not in PATH_MTUS:
        raise LocalError(f"path_mtu must be one of {', '.join(map(str, PATH_MTUS))}, not {attributes.path_mtu}")
    if attributes.av is not None:
        _check_address("av", attributes.av)
    if (path := attributes.alt_path) is not None:
        _check_address("alt_path", path.av)
        for name in ("pkey_index", "port", "timeout"):
            _check_range(f"alt_path.{name}", getattr(path, name), _RANGES[name])
    if attributes.path_mig_state not in (None, PathMigrationState.MIGRATED):
        raise LocalError("this device does not migrate paths: it has one port", errno=errno.EOPNOTSUPP)


def _check_address(name: str, av: AddressVector) -> None:
    try:
        ip_address(av.destination)
    except ValueError:
        raise LocalError(f"{name} needs the peer's IP address in numeric form, not {av.destination!r}") from None
    _check_range(f"{name}.traffic_class", av.traffic_class, (0, 255))
    _check_range(f"{name}.hop_limit", av.hop_limit, (0, 255))


def _check_range(name: str, value: int | None, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if value is not None and not low <= value <= high:
        raise LocalError(f"{name} must be between {low} and {high}, not {value}")


def _names(mask: QpAttribute) -> str:
    return ", ".join(attribute.name or "" for attribute in QpAttribute if attribute & mask)


PATH_MTUS = (256, 512, 1024, 2048, 4096)
_ASSUMABLE = (QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE)
_RANGES = {
    "access": (0, 0x1FFFFF),
    "timeout": (0, 31),
    "retry_cnt": (0, 7),
    "rnr_retry": (0, 7),
    "rq_psn": (0, 0xFFFFFF),
    "sq_psn": (0, 0xFFFFFF),
    "min_rnr_timer": (0, 31),
    "max_qp_rd_atomic": (0, 128),
    "max_dest_rd_atomic": (0, 128),
    "dest_qpn": (0, 0xFFFFFF),
    "qkey": (0, 0xFFFFFFFF),
    "pkey_index": (0, 0),
    "port": (1, 1),
}
