"""What a fabric is: hosts under leaves, leaves under spines, and how packets are made."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricConfig:
    """A leaf-spine fabric. The defaults are the HPCC authors' (SIGCOMM 2019, section 5.1) at a quarter of its rates.

    hosts, leaves, spines: how many; the hosts are spread evenly under the leaves, and every leaf has a link to every
    spine. host_rate_bps, spine_rate_bps: of a host's link and of one between leaf and spine. delay_ns: of every wire.
    payload_bytes, header_bytes, telemetry_bytes: of a packet, the last only where it carries telemetry. ack_bytes: of
    an acknowledgement on the wire. buffer_bytes: of each switch, shared by its ports, which pause whoever fills it
    (PFC); 0 for buffers without limit. The authors' are 8 MB at these rates.

    Acknowledgements and CNPs take the time of their way but no room: they travel as in a queue of their own that is
    served first.

    LocalError for a fabric that is none.
    """

    hosts: int = 32
    leaves: int = 4
    spines: int = 2
    host_rate_bps: int = 25_000_000_000
    spine_rate_bps: int = 100_000_000_000
    delay_ns: int = 1_500
    payload_bytes: int = 1000
    header_bytes: int = 48
    telemetry_bytes: int = 42
    ack_bytes: int = 64
    buffer_bytes: int = 0

    def __post_init__(self) -> None:
        if min(self.hosts, self.leaves, self.spines) < 1 or self.hosts % self.leaves:
            raise LocalError(f"{self.hosts} hosts do not spread evenly under {self.leaves} leaves")
        for name in ("host_rate_bps", "spine_rate_bps", "payload_bytes"):
            if getattr(self, name) < 1:
                raise LocalError(f"a fabric's {name} must be above 0, not {getattr(self, name)}")
        for name in ("delay_ns", "header_bytes", "telemetry_bytes", "ack_bytes", "buffer_bytes"):
            if getattr(self, name) < 0:
                raise LocalError(f"a fabric's {name} must not be negative: {getattr(self, name)}")

    @property
    def base_rtt_ns(self) -> int:
        """Of a full packet and its acknowledgement between hosts of two leaves, without queues."""
        packet_bytes = self.payload_bytes + self.header_bytes
        return self.one_way_ns(packet_bytes, is_far=True) + self.one_way_ns(self.ack_bytes, is_far=True)

    @property
    def bdp_bytes(self) -> int:
        """What a host's link sends in `base_rtt_ns`."""
        return self.host_rate_bps * self.base_rtt_ns // BIT_NS_PER_BYTE_S

    def leaf_of(self, host: int) -> int:
        """The leaf that a host is under."""
        return host * self.leaves // self.hosts

    def one_way_ns(self, size_bytes: int, *, is_far: bool) -> int:
        """Of a packet alone, from host to host. is_far: under another leaf."""
        total_ns = 2 * (self.delay_ns + serialisation_ns(size_bytes, self.host_rate_bps))
        if is_far:
            total_ns += 2 * (self.delay_ns + serialisation_ns(size_bytes, self.spine_rate_bps))
        return total_ns

    def wire_bytes(self, size_bytes: int, overhead_bytes: int) -> int:
        """Of a flow's packets together, each with so much around its payload."""
        return size_bytes + -(-size_bytes // self.payload_bytes) * overhead_bytes

    def ideal_ns(self, size_bytes: int, *, is_far: bool) -> int:
        """A flow's completion time on an idle fabric, without telemetry: from its start to its last acknowledgement.

        Packets leave back to back. The last arrives when it has crossed every link by itself, or behind the packet
        before it on the last link, whichever is later.
        """
        full_bytes = self.payload_bytes + self.header_bytes
        packets = -(-size_bytes // self.payload_bytes)
        last_bytes = size_bytes - (packets - 1) * self.payload_bytes + self.header_bytes
        before_ns = serialisation_ns((packets - 1) * full_bytes, self.host_rate_bps)
        arrival_ns = before_ns + self.one_way_ns(last_bytes, is_far=is_far)
        if packets > 1:
            behind_ns = serialisation_ns((packets - 2) * full_bytes, self.host_rate_bps)
            behind_ns += self.one_way_ns(full_bytes, is_far=is_far) + serialisation_ns(last_bytes, self.host_rate_bps)
            arrival_ns = max(arrival_ns, behind_ns)
        return arrival_ns + self.one_way_ns(self.ack_bytes, is_far=is_far)


def serialisation_ns(size_bytes: int, rate_bps: int) -> int:
    """How long so many bytes take, rounded up."""
    return -(-size_bytes * BIT_NS_PER_BYTE_S // rate_bps)


BIT_NS_PER_BYTE_S = 8_000_000_000
