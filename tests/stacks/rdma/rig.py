"""Two devices in virtual time, with a pair of connected queue pairs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from stacks.dma.contract import Dma
from stacks.rdma import (
    Access,
    AddressVector,
    Cq,
    Device,
    DeviceConfig,
    Mr,
    Pd,
    Qp,
    QpAttribute,
    QpAttributes,
    QpCapacity,
    QpState,
    QpType,
    RecvWr,
    SendFlags,
    SendWr,
    Sge,
    Wc,
    WrOpcode,
)
from stacks.rdma.transitions import rule_of
from transports.simulation import Host, Impairments, Network, Simulation

FULL_ACCESS = Access.LOCAL_WRITE | Access.REMOTE_ANY
QKEY = 0x11111111
HOSTS = ("192.0.2.1", "192.0.2.2")
HOSTS_V6 = ("2001:db8::1", "2001:db8::2")


@dataclass
class End:
    """One side: a device with one queue pair, one buffer, and everything it completed."""

    device: Device
    pd: Pd
    cq: Cq
    qp: Qp
    memory: bytearray
    mr: Mr
    host: Host
    completions: list[Wc] = field(default_factory=list)

    def sge(self, offset: int, length: int) -> Sge:
        """A piece of this side's buffer."""
        return Sge(self.mr.address + offset, length, self.mr.lkey)

    def lend_key(self, offset: int = 0, length: int = 8, access: int = FULL_ACCESS) -> int:
        """The key of a fast-registered region over a piece of this side's buffer, which the peer may invalidate."""
        fast = self.pd.alloc_fast_mr(1)
        fast.map_sges([self.sge(offset, length)])
        assert fast.register(fast.rkey, access, self.qp)
        return fast.rkey

    def recv(self, wr_id: int, offset: int = 0, length: int = 0) -> None:
        """Post a receive into the buffer."""
        self.qp.post_recv(RecvWr(wr_id, [self.sge(offset, length)] if length else []))

    def send(self, wr_id: int, opcode: WrOpcode, offset: int, length: int, **fields: object) -> None:
        """Post a send from the buffer."""
        flags = fields.pop("flags", SendFlags.SIGNALED)
        self.qp.post_send(SendWr(wr_id, opcode, [self.sge(offset, length)], flags, **fields))  # type: ignore[arg-type]
        self.host.wake()

    def poll(self) -> list[Wc]:
        """Take what completed, and remember it."""
        taken = self.cq.poll(10_000)
        self.completions += taken
        return taken


def make_end(
    network: Network,
    host: str,
    *,
    seed: int = 1,
    config: DeviceConfig | None = None,
    memory_bytes: int = 1 << 20,
    capacity: QpCapacity | None = None,
    cq_depth: int = 4096,
    dma: Dma | None = None,
    qp_type: QpType = QpType.RC,
) -> End:
    """One side at `host`, with its queue pair in RESET."""
    device = Device(host, config=config, rng=random.Random(seed), dma=dma)
    pd = device.alloc_pd()
    cq = device.create_cq(cq_depth)
    qp = pd.create_qp(qp_type, send_cq=cq, recv_cq=cq, capacity=capacity)
    memory = bytearray(memory_bytes)
    mr = pd.reg_mr(memory, FULL_ACCESS)
    return End(device, pd, cq, qp, memory, mr, network.attach(device, device.address))


def modify(qp: Qp, state: QpState, **values: object) -> None:
    """Move a queue pair on with those of `values` that its type needs for it."""
    needed, _ = rule_of(qp.qp_type, qp.state, state)
    given = {name: value for name, value in values.items() if QpAttribute[name.upper()] & needed}
    qp.modify(QpAttributes(state=state, **given))  # type: ignore[arg-type]


class Rig:
    """Both sides, the network between them, and the ways to run it.

    Nothing is connected before `connect`; `connect` goes straight to RTS.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        impairments: Impairments | None = None,
        shortcuts: bool = True,
        config: DeviceConfig | None = None,
        merges: bool = True,
        tells_identification: bool = False,
        memory_bytes: int = 1 << 20,
        path_mtu: int = 1024,
        hosts: tuple[str, str] = HOSTS,
        capacity: QpCapacity | None = None,
        cq_depth: int = 4096,
        dmas: tuple[Dma | None, Dma | None] = (None, None),
        connect: bool = True,
        qp_type: QpType = QpType.RC,
        **attributes: int,
    ) -> None:
        self.simulation = Simulation(seed)
        self.network = Network(self.simulation, impairments, merges=merges, tells_identification=tells_identification)
        config = config or DeviceConfig(shortcuts=shortcuts)
        self.ends = tuple(
            make_end(
                self.network, host, seed=seed + index, config=config, memory_bytes=memory_bytes, capacity=capacity,
                cq_depth=cq_depth, dma=dmas[index], qp_type=qp_type,
            )
            for index, host in enumerate(hosts)
        )  # fmt: skip
        self.left, self.right = self.ends
        self._path_mtu = path_mtu
        self._attributes = attributes
        if connect:
            self.connect()

    def connect(self) -> None:
        """Move both queue pairs to RTS, towards each other."""
        for end, peer in ((self.left, self.right), (self.right, self.left)):
            self.to_init(end)
            self.to_rtr(end, peer)
            self.to_rts(end)

    def to_init(self, end: End, access: int = FULL_ACCESS) -> None:
        """RESET to INIT."""
        modify(end.qp, QpState.INIT, pkey_index=0, port=1, access=access, qkey=QKEY)

    def to_rtr(self, end: End, peer: End) -> None:
        """INIT to RTR."""
        modify(
            end.qp,
            QpState.RTR,
            av=AddressVector(destination=peer.device.address[0]),
            path_mtu=self._path_mtu,
            dest_qpn=peer.qp.number,
            rq_psn=self.psn_of(peer),
            max_dest_rd_atomic=self._attributes.get("max_dest_rd_atomic", 16),
            min_rnr_timer=self._attributes.get("min_rnr_timer", 6),
        )

    def to_rts(self, end: End) -> None:
        """RTR to RTS."""
        modify(
            end.qp,
            QpState.RTS,
            timeout=self._attributes.get("timeout", 10),
            retry_cnt=self._attributes.get("retry_cnt", 7),
            rnr_retry=self._attributes.get("rnr_retry", 7),
            sq_psn=self.psn_of(end),
            max_qp_rd_atomic=self._attributes.get("max_qp_rd_atomic", 16),
        )

    def psn_of(self, end: End) -> int:
        """Where a side's PSNs start: shortly before they wrap."""
        return self._attributes.get("psn", 0xFFFFF0 + (end.device.address[0] == HOSTS[1]))

    def run(self, duration_ns: int = 1_000_000_000) -> None:
        """Let time pass, and take everything that completed."""
        self.simulation.run_for(duration_ns)
        for end in self.ends:
            end.poll()

    def run_until_completed(self, end: End, count: int, timeout_ns: int = 600_000_000_000) -> None:
        """Run until `end` has `count` completions in all."""

        def is_done() -> bool:
            for each in self.ends:
                each.poll()
            return len(end.completions) >= count

        self.simulation.run_until(is_done, timeout_ns=timeout_ns)
