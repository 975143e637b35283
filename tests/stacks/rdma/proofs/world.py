"""Two devices, one queue pair of every transport between them, and a network that may be anything."""

from __future__ import annotations

import random
from collections.abc import Iterable

from stacks.dma import FlatDma, PersistentDma
from stacks.rdma import (
    Access,
    AddressVector,
    AsyncEventType,
    Device,
    DeviceConfig,
    Pd,
    Qp,
    QpAttributes,
    QpState,
    QpType,
    WcStatus,
    WrOpcode,
)
from tests.stacks.rdma.proofs.reliable_sides import (
    Blunder,
    ReliableSide,
    SharedReceives,
    SharedSide,
    XrcSender,
)
from tests.stacks.rdma.proofs.unreliable_sides import MEMORY_BYTES as UNRELIABLE_BYTES
from tests.stacks.rdma.proofs.unreliable_sides import UnreliableSide
from tests.stacks.rdma.rig import FULL_ACCESS, HOSTS, QKEY, End, modify
from tests.stacks.rdma.traffic import AREA, INBOX, MEMORY_BYTES, SLOTS
from transports.datagram import ECN_CE
from transports.simulation import Host, Impairments, Network, Packet, Simulation

ACCESS = FULL_ACCESS | Access.MW_BIND | Access.FLUSH_ANY
QP_ACCESS = FULL_ACCESS | Access.FLUSH_ANY
PATIENCE_NS = 60_000_000_000
STEP_NS = 500_000


class Machine:
    """A device at an address, with memory that can be made durable."""

    def __init__(self, network: Network, address: str, seed: int, config: DeviceConfig) -> None:
        self.dma = PersistentDma(FlatDma())
        self.device = Device(address, config=config, rng=random.Random(seed), dma=self.dma)
        self.pd: Pd = self.device.alloc_pd()
        self.host: Host = network.attach(self.device, self.device.address)

    def end(self, qp_type: QpType = QpType.RC, *, memory_bytes: int = MEMORY_BYTES, **options: object) -> End:
        """A queue pair with a CQ and memory of its own."""
        cq = self.device.create_cq(4096)
        qp = self.pd.create_qp(qp_type, send_cq=cq, recv_cq=cq, **options)  # type: ignore[arg-type]
        memory = bytearray(memory_bytes)
        return End(self.device, self.pd, cq, qp, memory, self.pd.reg_mr(memory, ACCESS), self.host)


class World:
    """Both machines with their sides.

    pairs: reliable connections with go-back-N, with selective repeat, with congestion control, and with a shared
    receive queue on the right (two of them); then XRC, UC and UD. path_mtu, psn: of all connected ones.
    """

    def __init__(self, *, seed: int, shortcuts: bool, path_mtu: int = 1024, psn: int = 0xFFFFF0) -> None:
        self.rng = random.Random(seed)
        self.simulation = Simulation(seed)
        self.network = Network(self.simulation, tells_identification=True)
        config = DeviceConfig(shortcuts=shortcuts)
        self.left, self.right = (Machine(self.network, host, seed + n, config) for n, host in enumerate(HOSTS))
        self._path_mtu, self._psn = path_mtu, psn
        self._switch, self._marked = random.Random(seed), 0.0
        self.network.hook = self._pass
        self._connections = self._hungry_ns = 0
        self.pairs = [
            self._reliable(recovery="go-back-n"),
            self._reliable(recovery="selective"),
            self._reliable(congestion="dcqcn"),
            *self._shared_pairs(),
        ]
        self.xrc, self.xrc_receivers = self._extended()
        self.unreliable = [self._unreliable(QpType.UC), self._unreliable(QpType.UD)]

    @property
    def reliable_sides(self) -> list[ReliableSide]:
        """All of them."""
        return [*(side for pair in self.pairs for side in pair), self.xrc, *self.xrc_receivers]

    @property
    def senders(self) -> list[ReliableSide]:
        """Those that may post sends."""
        return [*(side for pair in self.pairs for side in pair), self.xrc]

    @property
    def unreliable_sides(self) -> list[UnreliableSide]:
        """All of them."""
        return [side for pair in self.unreliable for side in pair]

    def run(self, duration_ns: int) -> None:
        """Let time pass, and check what completed and that nothing went wrong.

        Who waits for a receive gets one after a millisecond. RNR NAKs do not refill retry_cnt (IBTA 9.9.2.1.2, and
        Linux rxe), so with packets being lost meanwhile, a longer wait would rightly end in RETRY_EXC_ERR.
        """
        for _ in range(duration_ns // STEP_NS):
            self._let_pass(STEP_NS)
        self._let_pass(duration_ns % STEP_NS)
        self.check_states()

    def _let_pass(self, duration_ns: int) -> None:
        self.simulation.run_for(duration_ns)
        self._hungry_ns += duration_ns
        if self._hungry_ns > 2 * STEP_NS:
            self._hungry_ns = 0
            self._give_receives(self.reliable_sides)
        self._check_completions()

    def _check_completions(self) -> None:
        for reliable in self.reliable_sides:
            reliable.check_completions()
        for unreliable in self.unreliable_sides:
            unreliable.check_completions()

    def check_states(self) -> None:
        """Every queue pair is in RTS, and nobody reported an error."""
        for side in (*self.reliable_sides, *self.unreliable_sides):
            assert side.end.qp.state is QpState.RTS
        assert self.events() <= {AsyncEventType.COMM_EST}

    def events(self) -> set[AsyncEventType]:
        """The kinds of what both devices reported."""
        kinds = set()
        for machine in (self.left, self.right):
            while (event := machine.device.poll_async_event()) is not None:
                kinds.add(event.kind)
        return kinds

    def set_network(self, impairments: Impairments) -> None:
        """Change how packets are treated from now on."""
        self.network.impairments = impairments
        self.network.forget_paths()

    def mark(self, probability: float) -> None:
        """Have switches mark packets that they let pass, with this probability each."""
        self._marked = probability

    def _pass(self, packet: Packet) -> tuple[Packet]:
        if self._marked and self._switch.random() < self._marked:
            packet.ecn = ECN_CE
        return (packet,)

    def finish(self) -> None:
        """With a network that is whole again: everything completes, and all memory is what was asked for."""
        self.set_network(Impairments())
        self.mark(0.0)
        self.settle()
        for side in self.senders:
            side.post(WrOpcode.RDMA_WRITE, 0)
            side.flush_inbox() if side is not self.xrc else None
        self.settle()
        for side in self.reliable_sides:
            side.check_memory()
        for pair in self.pairs:
            for side in pair:
                machine = self.left if side.end.device is self.left.device else self.right
                assert machine.dma.durable(side.end.mr.address + INBOX, AREA) == side.inbox
        for unreliable in self.unreliable_sides:
            unreliable.check_memory()

    def settle(self) -> None:
        """Run until everything has completed."""
        end_ns = self.simulation.now + PATIENCE_NS
        while not self._is_quiet():
            for side in self.senders:
                if side.sent and not any(sent.is_signaled for sent in side.sent):
                    side.post(WrOpcode.RDMA_WRITE, 0)
            self._give_receives(self.reliable_sides)
            assert self.simulation.now < end_ns, "a queue pair is stuck"
            self.run(STEP_NS)

    def end_connection(self, number: int, which: int, blunder: Blunder) -> None:
        """Have one side of a pair ask for what must not be; check how both ended, and connect them again."""
        pair = self.pairs[number]
        guilty, victim = pair[which], pair[1 - which]
        if len(guilty.sent) >= SLOTS:
            return
        blunder_id = guilty.blunder(blunder)
        end_ns = self.simulation.now + PATIENCE_NS
        while guilty.end.qp.state is not QpState.ERR:
            self._give_receives(self.reliable_sides)
            assert self.simulation.now < end_ns, "a request that must fail did not"
            self.simulation.run_for(STEP_NS)
        self._check_ends(guilty, victim, blunder, blunder_id)
        for side in pair:
            side.end.qp.modify(QpAttributes(state=QpState.RESET))
            side.start_over()
        # Nothing of the old connection is under way any more.
        self.simulation.run_for(STEP_NS)
        self._connect(guilty.end, victim.end)

    def _check_ends(self, guilty: ReliableSide, victim: ReliableSide, blunder: Blunder, blunder_id: int) -> None:
        mistake = blunder.value
        was_told = victim.end.qp.state is QpState.ERR
        victim.end.qp.modify(QpAttributes(state=QpState.ERR))
        error = guilty.check_end(blunder_id=blunder_id, allowed=frozenset({mistake.status, WcStatus.RETRY_EXC_ERR}))
        assert error is not None
        victim.check_end(blunder_id=None, allowed=frozenset({WcStatus.RETRY_EXC_ERR}))
        if error is mistake.status:
            # All before it was executed, nothing behind it was posted.
            assert not victim.messages
            assert victim.end.memory[INBOX : INBOX + AREA] == victim.inbox
            assert was_told or mistake.is_local
        kinds = {AsyncEventType.QP_ACCESS_ERR, AsyncEventType.QP_REQ_ERR} if not mistake.is_local else set()
        assert self.events() <= kinds | {AsyncEventType.COMM_EST}

    def _give_receives(self, sides: Iterable[ReliableSide]) -> None:
        for side in sides:
            while side.open_receives < min(side.wanted_receives, SLOTS):
                side.post_receive()

    def _is_quiet(self) -> bool:
        return all(side.is_quiet for side in (*self.reliable_sides, *self.unreliable_sides))

    # Making them

    def _reliable(self, **options: str) -> tuple[ReliableSide, ReliableSide]:
        ends = [machine.end(**options) for machine in (self.left, self.right)]  # type: ignore[arg-type]
        self._connect(*ends)
        return self._paired(*(ReliableSide(end, self.rng) for end in ends))

    def _shared_pairs(self) -> list[tuple[ReliableSide, ReliableSide]]:
        srq = self.right.pd.create_srq(max_wr=SLOTS, max_sge=1)
        shared = SharedReceives(srq, self.right.end())
        pairs = []
        for _ in range(2):
            ends = self.left.end(), self.right.end(srq=srq)
            self._connect(*ends)
            pairs.append(self._paired(ReliableSide(ends[0], self.rng), SharedSide(ends[1], self.rng, shared)))
        shared.users = [pair[1] for pair in pairs]
        return pairs

    def _extended(self) -> tuple[XrcSender, list[SharedSide]]:
        left, right = self.left, self.right
        xrcd = right.device.open_xrcd()
        sender = left.end(QpType.XRC_SEND)
        target = right.end(QpType.XRC_RECV, memory_bytes=64, xrcd=xrcd).qp
        receivers = []
        for _ in range(2):
            end = right.end()
            end.qp.destroy()
            end.qp = target
            shared = SharedReceives(right.pd.create_srq(max_wr=SLOTS, max_sge=1, xrcd=xrcd, cq=end.cq), end)
            receivers.append(SharedSide(end, self.rng, shared, has_windows=False))
            shared.users = [receivers[-1]]
        self._connect(sender, receivers[0].end)
        side = XrcSender(sender, self.rng, receivers)
        side.peer = receivers[0]
        for receiver in receivers:
            receiver.peer = side
        return side, receivers

    def _unreliable(self, qp_type: QpType) -> tuple[UnreliableSide, UnreliableSide]:
        ends = [machine.end(qp_type, memory_bytes=UNRELIABLE_BYTES) for machine in (self.left, self.right)]
        self._connect(*ends)
        sides = tuple(UnreliableSide(end, self.rng, is_datagram=qp_type is QpType.UD) for end in ends)
        sides[0].peer, sides[1].peer = sides[1], sides[0]
        return sides[0], sides[1]

    def _paired(self, first: ReliableSide, second: ReliableSide) -> tuple[ReliableSide, ReliableSide]:
        first.peer, second.peer = second, first
        return first, second

    def _connect(self, first: End, second: End) -> None:
        self._connections += 1
        for end, peer in ((first, second), (second, first)):
            modify(end.qp, QpState.INIT, pkey_index=0, port=1, access=QP_ACCESS, qkey=QKEY)
            self._to_rtr(end.qp, peer)
            modify(
                end.qp, QpState.RTS, timeout=7, retry_cnt=7, rnr_retry=7, sq_psn=self._psn_of(end), max_qp_rd_atomic=4
            )

    def _to_rtr(self, qp: Qp, peer: End) -> None:
        av = AddressVector(destination=peer.device.address[0])
        modify(
            qp, QpState.RTR, av=av, path_mtu=self._path_mtu, dest_qpn=peer.qp.number, rq_psn=self._psn_of(peer),
            max_dest_rd_atomic=4, min_rnr_timer=8,
        )  # fmt: skip

    def _psn_of(self, end: End) -> int:
        """Shortly before they wrap, and others with each connection."""
        return self._psn + 1000 * self._connections + (end.device is self.right.device) & 0xFFFFFF
