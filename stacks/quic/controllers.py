"""Congestion controllers as QUIC runs them: paced (RFC 9002 7.7)."""

from __future__ import annotations

from stacks.congestion import ControllerFactory, controller_factory


def quic_controller(name: str) -> ControllerFactory:
    """The controllers called `name`: of those that pace only if asked to, the form that does.

    name: as of `stacks.congestion.controller_factory`, which says what is wrong with others.
    """
    return controller_factory(PACED.get(name, name))


PACED = {"reno": "reno-paced", "cubic": "cubic-paced"}
