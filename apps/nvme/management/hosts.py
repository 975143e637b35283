"""Which hosts may come, and those that are to go."""

from __future__ import annotations

from dataclasses import asdict

from apps.nvme.management.manager import Manager
from stacks.nvme.target import Subsystem
from stacks.nvme.target.views import controller_views
from stacks.runtime import LocalError
from transports.control import Json


def allow(manager: Manager, *, nqn: str, host: str) -> Json:
    """Let one host more connect, or (empty) every host."""
    subsystem = manager.subsystem(nqn).subsystem
    if host:
        _check_list(subsystem)
        subsystem.allow_host(host)
    else:
        subsystem.allowed_hosts = None
    return _access(subsystem)


def deny(manager: Manager, *, nqn: str, host: str) -> Json:
    """Let a host connect no more, and disconnect it; or (empty) every host."""
    subsystem = manager.subsystem(nqn).subsystem
    if host:
        _check_list(subsystem)
        subsystem.deny_host(host)
    else:
        subsystem.allowed_hosts = ()
    return _access(subsystem)


def kick(manager: Manager, *, nqn: str, host: str, controller: int) -> Json:
    """Disconnect a host, or one controller; they may come back."""
    if bool(host) == bool(controller):
        raise LocalError("kick takes a host or a controller")
    subsystems = [manager.subsystem(nqn).subsystem] if nqn or controller else _all(manager)
    hit = [
        view
        for view in controller_views(manager.target)
        if view.subsystem in {each.nqn for each in subsystems} and (view.host_nqn == host or view.cntlid == controller)
    ]
    if controller:
        subsystems[0].disconnect_controller(controller)
    for subsystem in subsystems if host else ():
        subsystem.disconnect_host(host)
    if host and not hit:
        there = ", ".join(sorted({view.host_nqn for view in controller_views(manager.target)})) or "none"
        raise LocalError(f"{host} is not connected; there are: {there}")
    return {"disconnected": [asdict(view) for view in hit]}


def _check_list(subsystem: Subsystem) -> None:
    if subsystem.allowed_hosts is None:
        raise LocalError(
            f"{subsystem.nqn} lets every host in; say first which hosts may connect: deny --all, then allow"
        )


def _access(subsystem: Subsystem) -> Json:
    hosts = subsystem.allowed_hosts
    return {"nqn": subsystem.nqn, "allowed_hosts": None if hosts is None else [*sorted(hosts)]}


def _all(manager: Manager) -> list[Subsystem]:
    # The discovery service's hosts as well.
    return list(manager.target.subsystems.values())
