"""The ways to a target and through it: ports, ANA states, referrals, subsystems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import trio

from apps.nvme.management.manager import Manager
from apps.nvme.management.picture import referrals_json, subsystem_json
from stacks.nvme.configuration import PortConfiguration, SubsystemConfiguration
from stacks.nvme.target import PortAddress
from stacks.nvme.target.controller_kind import ControllerKind
from stacks.nvme.target.views import port_views
from stacks.nvme.url import NvmeUrl
from stacks.runtime import LocalError
from transports.control import Json
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import DISCOVERY_NQN


def set_ana(manager: Manager, *, nqn: str, group: int, state: AnaState, port: int | None, after_ns: int) -> Json:
    """Change the state of an ANA group, at once or through Change."""
    configured = manager.subsystem(nqn)
    subsystem = configured.subsystem
    if port is not None:
        manager.server.port(port)
    if after_ns:
        subsystem.change_ana_state(group, state, duration_ns=after_ns, portid=port)
    else:
        subsystem.set_ana_state(group, state, portid=port)
    return subsystem_json(configured)


def add_port(manager: Manager, *, listen: NvmeUrl, portid: int, serves: Sequence[str] | None) -> Json:
    """Listen at one more place."""
    _check_known(manager, serves or ())
    port = PortConfiguration(url=listen, portid=portid, serves=None if serves is None else tuple(serves))
    return _port(manager, manager.server.add_port(port).core.port.portid)


def remove_port(manager: Manager, *, port: int) -> Json:
    """Listen somewhere no more."""
    gone = _port(manager, port)
    manager.server.remove_port(port)
    return gone


def set_serves(manager: Manager, *, port: int, serves: Sequence[str] | None) -> Json:
    """Change which subsystems are reached through a port."""
    _check_known(manager, serves or ())
    manager.target.set_serves(manager.server.port(port).core.port, serves)
    return _port(manager, port)


def add_referral(manager: Manager, *, to: PortAddress, nqn: str) -> Json:
    """Send hosts to a discovery service elsewhere."""
    manager.target.discovery.add_referral(to, nqn or DISCOVERY_NQN)
    return {"referrals": referrals_json(manager.target)}


def remove_referral(manager: Manager, *, to: PortAddress) -> Json:
    """Send hosts there no more."""
    manager.target.discovery.remove_referral(to)
    return {"referrals": referrals_json(manager.target)}


def add_subsystem(
    manager: Manager,
    *,
    nqn: str,
    serial: str,
    model: str,
    kind: ControllerKind,
    allowed_hosts: Sequence[str] | None,
    max_controllers: int | None,
) -> Json:
    """Serve one more subsystem, without a namespace yet."""
    plain = SubsystemConfiguration(nqn=nqn)
    made = manager.configured.add_subsystem(
        replace(
            plain,
            serial=serial,
            model=model or plain.model,
            kind=kind,
            allowed_hosts=None if allowed_hosts is None else tuple(allowed_hosts),
            controllers_max=max_controllers,
        )
    )
    return subsystem_json(made)


async def remove_subsystem(manager: Manager, *, nqn: str) -> Json:
    """Serve a subsystem no more, and close what belongs to it."""
    gone = subsystem_json(manager.subsystem(nqn))
    with manager.server.changing():
        removed = manager.configured.remove_subsystem(nqn)
        removed.recall()
    await trio.to_thread.run_sync(removed.close)
    return gone


def drain(manager: Manager) -> Json:
    """End the process, once what is under way is answered."""
    connections = sum(port.core.queue_count for port in manager.server.ports)
    manager.end()
    return {"connections": connections}


def _port(manager: Manager, portid: int) -> Json:
    manager.server.port(portid)
    return next(asdict(view) for view in port_views(manager.target) if view.portid == portid)


def _check_known(manager: Manager, nqns: Sequence[str]) -> None:
    for nqn in nqns:
        if nqn not in manager.configured.subsystems:
            there = ", ".join(manager.configured.subsystems) or "none"
            raise LocalError(f"there is no subsystem {nqn}; there are: {there}")
