"""What needs no privilege of TUN devices and namespaces: what is refused. The rest is tried by interop/congestion."""

from __future__ import annotations

import pytest

from transports import namespaces
from transports.errors import TransportError
from transports.tuntap import TunDevice


@pytest.mark.parametrize("name", ["", "a-name-of-sixteen", "two words", "a/b"])
def test_a_name_that_no_interface_can_have_is_refused(name: str) -> None:
    with pytest.raises(TransportError, match="no name of an interface"):
        TunDevice(name)


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(TransportError, match="no network namespace nonesuch"), namespaces.entered("nonesuch"):
        pass


def test_no_name_is_the_namespace_of_this_process() -> None:
    with namespaces.entered(""):
        pass
    assert not namespaces.exists("nonesuch")


def test_what_the_program_ip_says_is_told() -> None:
    with pytest.raises(TransportError, match="ip link show nonesuch: "):
        namespaces.run_ip("link", "show", "nonesuch")
