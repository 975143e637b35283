"""Addresses: GIDs, routes, address handles (IBTA 4.1.1, 11.2.2).

On RoCEv2 a GID is an IP address: IPv6 as it is, IPv4 a.b.c.d as ::ffff:a.b.c.d (annex A17.4.5.3).
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from stacks.rdma.attributes import AddressVector
from stacks.rdma.verbs.errors import PyverbsUserError


class GID:
    """A global identifier. val: eight groups of four hexadecimal digits, or any IP address."""

    def __init__(self, val: str = "::") -> None:
        self.gid = val

    @property
    def gid(self) -> str:
        """Eight groups of four hexadecimal digits."""
        return self._address.exploded

    @gid.setter
    def gid(self, val: str) -> None:
        try:
            address = ip_address(val)
        except ValueError:
            raise PyverbsUserError(f"Invalid GID value ({val})") from None
        self._address = address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")

    @property
    def ip(self) -> str:
        """The IP address that it stands for, in numeric text form."""
        return str(self._address.ipv4_mapped or self._address)

    @property
    def is_zero(self) -> bool:
        """Whether an entry with it is empty."""
        return not int(self._address)

    def __bytes__(self) -> bytes:
        return self._address.packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GID) and self._address == other._address

    def __hash__(self) -> int:
        return hash(self._address)

    def __str__(self) -> str:
        return self.gid

    def __repr__(self) -> str:
        return f"GID({self.gid!r})"


class GRH:
    """A global route header, as it stands in front of a datagram that was received (IBTA 8.3)."""

    def __init__(
        self,
        sgid: GID | None = None,
        dgid: GID | None = None,
        version_tclass_flow: int = 0,
        paylen: int = 0,
        next_hdr: int = 0,
        hop_limit: int = 0,
    ) -> None:
        self.sgid = sgid or GID()
        self.dgid = dgid or GID()
        self.version_tclass_flow = version_tclass_flow
        self.paylen = paylen
        self.next_hdr = next_hdr
        self.hop_limit = hop_limit

    @property
    def traffic_class(self) -> int:
        """The byte that marks a priority."""
        return self.version_tclass_flow >> 20 & 0xFF

    @classmethod
    def parse(cls, header: bytes) -> GRH:
        """From the first 40 bytes of a UD receive buffer: an IPv6 header, or an IPv4 one in its last 20 bytes."""
        if header[0] >> 4 == 6:
            return cls(
                sgid=GID(str(IPv6Address(header[8:24]))),
                dgid=GID(str(IPv6Address(header[24:40]))),
                version_tclass_flow=int.from_bytes(header[:4], "big"),
                paylen=int.from_bytes(header[4:6], "big"),
                next_hdr=header[6],
                hop_limit=header[7],
            )
        ipv4 = header[20:40]
        return cls(
            sgid=GID(str(ip_address(ipv4[12:16]))),
            dgid=GID(str(ip_address(ipv4[16:20]))),
            version_tclass_flow=ipv4[1] << 20,
            paylen=int.from_bytes(ipv4[2:4], "big"),
            next_hdr=ipv4[9],
            hop_limit=ipv4[8],
        )


class GlobalRoute:
    """The route to another device. dgid: its GID; traffic_class, hop_limit (0 for 64): of the IP headers sent."""

    def __init__(
        self,
        dgid: GID | None = None,
        flow_label: int = 0,
        sgid_index: int = 0,
        hop_limit: int = 1,
        traffic_class: int = 0,
    ) -> None:
        self.dgid = dgid or GID()
        self.flow_label = flow_label
        self.sgid_index = sgid_index
        self.hop_limit = hop_limit
        self.traffic_class = traffic_class


class AHAttr:
    """Where an address handle or a connected queue pair points; on RoCE only what `gr` holds matters."""

    def __init__(
        self,
        dlid: int = 0,
        sl: int = 0,
        src_path_bits: int = 0,
        static_rate: int = 0,
        is_global: int = 0,
        port_num: int = 1,
        gr: GlobalRoute | None = None,
    ) -> None:
        self.dlid = dlid
        self.sl = sl
        self.src_path_bits = src_path_bits
        self.static_rate = static_rate
        self.is_global = is_global
        self.port_num = port_num
        self.gr = gr or GlobalRoute()

    @property
    def dgid(self) -> str:
        """The GID that it points to, as text."""
        return self.gr.dgid.gid

    @dgid.setter
    def dgid(self, val: str) -> None:
        self.gr.dgid = GID(val)

    @property
    def address_vector(self) -> AddressVector:
        """The same for a core."""
        gr = self.gr
        # A hop limit of 0 or 1, the default, would not leave a machine's loopback.
        hop_limit = gr.hop_limit if gr.hop_limit > 1 else DEFAULT_HOP_LIMIT
        return AddressVector(destination=gr.dgid.ip, traffic_class=gr.traffic_class, hop_limit=hop_limit)

    @classmethod
    def of_vector(cls, vector: AddressVector) -> AHAttr:
        """From a core's."""
        route = GlobalRoute(
            dgid=GID(vector.destination), hop_limit=vector.hop_limit, traffic_class=vector.traffic_class
        )
        return cls(is_global=1, gr=route)


DEFAULT_HOP_LIMIT = 64
