"""Values of a configuration from what TOML says; a reader raises LocalError in words that follow the key's name."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import TypeVar

from stacks.nvme.stores.capacity import BLOCK_SIZES
from stacks.nvme.stores.faults import StoreFault, parse_fault
from stacks.nvme.stores.specification import parse_size
from stacks.nvme.stores.store_files import store_files
from stacks.nvme.target.controller_kind import ADMINISTRATIVE, IO
from stacks.nvme.target.discovery_record import PortAddress, check_address
from stacks.nvme.target.nqn import check_nqn
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime import LocalError
from stacks.runtime.toml_table import suggestion
from wire.nvme.kinds import AnaState, TransportType

T = TypeVar("T")


def text(value: object) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise LocalError(f"is text in quotes, not {value!r}")
    return value


def truth(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise LocalError(f"is true or false, not {value!r}")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise LocalError(f"is a whole number from {low} to {high}, not {value!r}")
        return value

    return read


def size(low: int, high: int, *, multiple: int = 1) -> Callable[[object], int]:
    """Bytes, as a number or as "8KiB"; a multiple of something, from `low` to `high`."""

    def read(value: object) -> int:
        try:
            found = value if isinstance(value, int) and not isinstance(value, bool) else parse_size(text(value))
        except LocalError as error:
            raise LocalError(f'is a size such as 8192 or "8KiB", not {value!r}') from error
        if not low <= found <= high or found % multiple:
            steps = f", in steps of {multiple}" if multiple > 1 else ""
            raise LocalError(f"is {low} to {high} bytes{steps}, not {found}")
        return found

    return read


def word(words: Mapping[str, T]) -> Callable[[object], T]:
    """One of some words, and what it stands for."""

    def read(value: object) -> T:
        if not isinstance(value, str) or value not in words:
            hint = suggestion(value, words, "there are") if isinstance(value, str) else f"there are: {', '.join(words)}"
            raise LocalError(f"is not {value!r}; {hint}")
        return words[value]

    return read


def printable(longest: int) -> Callable[[object], str]:
    """ASCII text of so many characters at most."""

    def read(value: object) -> str:
        found = text(value)
        if len(found) > longest or not found.isascii() or not found.isprintable():
            raise LocalError(f"is at most {longest} plain characters, not {found!r}")
        return found

    return read


def block_size(value: object) -> int:
    """512 or 4096."""
    found = size(0, 1 << 20)(value)
    if found not in BLOCK_SIZES:
        raise LocalError(f"is {' or '.join(map(str, BLOCK_SIZES))}, not {found}")
    return found


def nqn(value: object) -> str:
    """An NVMe Qualified Name."""
    found = text(value)
    check_nqn(found)
    return found


def identifier(value: object) -> uuid.UUID:
    """A UUID that is not 0."""
    try:
        found = uuid.UUID(text(value))
    except ValueError:
        raise LocalError(f"is a UUID, 32 hexadecimal digits, not {value!r}") from None
    if not found.int:
        raise LocalError("is not all zeroes")
    return found


def store(value: object) -> str:
    """The text of a store."""
    found = text(value)
    store_files(found)
    return found


def fault(value: object) -> StoreFault:
    """The text of a store's fault."""
    return parse_fault(text(value))


def place(value: object) -> NvmeUrl:
    """Transport, address and port."""
    return parse_url(text(value), example=PLACE)


def listen(value: object) -> NvmeUrl:
    """Where a port is to listen."""
    url = place(value)
    if url.nqn or url.nsid:
        raise LocalError(f"is to end with the port number, not {url.nqn or url.nsid}; serves says what is reached")
    address = ip_address(url.host)
    if address.is_multicast or (address.is_unspecified and url.transport == "rdma"):
        raise LocalError(f"is the address of one interface, not {url.host}; ip address lists this machine's")
    return url


def referral(value: object) -> PortAddress:
    """Where another discovery service is."""
    url = place(value)
    if url.nqn or url.nsid:
        raise LocalError("is to end with the port number; nqn is where a discovery service's own name goes")
    address = PortAddress(TransportType[url.transport.upper()], url.host, url.port)
    check_address(address)
    return address


KINDS = MappingProxyType({"io": IO, "administrative": ADMINISTRATIVE})
ANA_STATES = MappingProxyType(
    {state.name.lower().replace("_", "-"): state for state in AnaState if state is not AnaState.CHANGE}
)
"""Change is no state to begin with: it is left again by itself."""

DIGESTS = MappingProxyType({"none": 0, "header": 1, "data": 2, "both": 3})

PLACE = "nvme+tcp://192.0.2.9:4420"
"""What the URL of a place looks like."""
