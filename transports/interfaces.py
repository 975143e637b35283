"""The machine's network interfaces: which has an address, and how large its packets may be.

Follows Linux netlink(7), rtnetlink(7), netdevice(7).
"""

from __future__ import annotations

import fcntl
import socket
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address


def interface_mtu(address: str) -> int | None:
    """The MTU in bytes of the interface that has `address`, a numeric one; None when no interface has it.

    All of 127.0.0.0/8 belongs to the loopback interface, though it lists one address.
    """
    try:
        name = "lo" if ip_address(address).is_loopback else _interface_name(address)
        return None if name is None else _mtu_of(name)
    except OSError:
        return None  # a sandbox without netlink, or an interface that has just gone


def interface_indices() -> dict[str, int]:
    """The index of the interface that has it, for each address of this machine in numeric text form.

    OSError where the kernel does not tell.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as netlink:
        netlink.bind((0, 0))
        netlink.send(_dump_request())
        found: dict[str, int] = {}
        while True:
            for kind, body in _records(memoryview(netlink.recv(RECEIVE_BYTES)), NLMSG_HEADER_BYTES, _message_head):
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return found
                if kind == RTM_NEWADDR:
                    found.update(_address(body))


def _interface_name(address: str) -> str | None:
    index = interface_indices().get(str(ip_address(address)))
    return None if index is None else socket.if_indextoname(index)


def _mtu_of(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = name.encode().ljust(IFREQ_BYTES, b"\0")
        answer = fcntl.ioctl(control, SIOCGIFMTU, request)
    return int.from_bytes(answer[IFNAMSIZ : IFNAMSIZ + 4], sys.byteorder)


def _dump_request() -> bytes:
    # struct nlmsghdr: length 4, type 2, flags 2, sequence 4, port 4; struct ifaddrmsg: family 1, and 7 bytes more.
    length, kind, flags = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP
    head = length.to_bytes(4, sys.byteorder) + kind.to_bytes(2, sys.byteorder) + flags.to_bytes(2, sys.byteorder)
    return head.ljust(length, b"\0")


def _address(body: memoryview) -> Iterator[tuple[str, int]]:
    # struct ifaddrmsg ends with the interface's index; attributes follow. Point-to-point links have a local address.
    index = int.from_bytes(body[4:8], sys.byteorder)
    attributes = dict(_records(body[IFADDRMSG_BYTES:], RTATTR_HEADER_BYTES, _attribute_head))
    packed = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS))
    if packed is not None:
        yield str(ip_address(bytes(packed))), index


def _records(
    data: memoryview, head_bytes: int, read_head: Callable[[memoryview], tuple[int, int]]
) -> Iterator[tuple[int, memoryview]]:
    while len(data) >= head_bytes:
        length, kind = read_head(data)
        if not head_bytes <= length <= len(data):
            return
        yield kind, data[head_bytes:length]
        data = data[(length + 3) & ~3 :]


def _message_head(data: memoryview) -> tuple[int, int]:
    return int.from_bytes(data[:4], sys.byteorder), int.from_bytes(data[4:6], sys.byteorder)


def _attribute_head(data: memoryview) -> tuple[int, int]:
    return int.from_bytes(data[:2], sys.byteorder), int.from_bytes(data[2:4], sys.byteorder)


# <linux/netlink.h>, <linux/rtnetlink.h>, <linux/if_addr.h>, <linux/sockios.h>, <linux/if.h>
NETLINK_ROUTE = 0
NLMSG_HEADER_BYTES, RTATTR_HEADER_BYTES, IFADDRMSG_BYTES = 16, 4, 8
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
RTM_NEWADDR, RTM_GETADDR = 20, 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
SIOCGIFMTU, IFNAMSIZ, IFREQ_BYTES = 0x8921, 16, 40
RECEIVE_BYTES = 1 << 16
