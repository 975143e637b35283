"""Which interface has an address, and its MTU: the kernel's own lists are the judge."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from transports.interfaces import interface_indices, interface_mtu

NETWORKS = Path("/sys/class/net")


def test_every_address_of_this_machine_has_the_mtu_of_its_interface() -> None:
    indices = interface_indices()
    assert indices["127.0.0.1"] == socket.if_nametoindex("lo")
    for address, index in indices.items():
        mtu = NETWORKS / socket.if_indextoname(index) / "mtu"
        if mtu.exists():
            assert interface_mtu(address) == int(mtu.read_text())


@pytest.mark.parametrize("address", ["127.0.0.1", "127.77.3.9", "::1"])
def test_all_of_loopback_belongs_to_the_loopback_interface(address: str) -> None:
    assert interface_mtu(address) == int((NETWORKS / "lo" / "mtu").read_text())


@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1"])
def test_an_address_of_another_machine_has_no_interface(address: str) -> None:
    assert interface_mtu(address) is None
