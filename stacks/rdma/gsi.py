"""The general service interface, QP 1: management datagrams between connection managers (IBTA 13.6, 3.9.1).

A MAD travels as one UD SEND Only of 256 bytes, with a DETH that carries the well-known Q_Key. The connection manager
neither sees packets nor the network; this is what joins it to the device.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stacks.rdma.cm import RdmaCm
from stacks.rdma.egress import ACK_REQUEST, Egress
from stacks.rdma.opcodes import DATAGRAM, SEND_ONLY
from transports.datagram import Transmit
from wire.roce import Bth, Deth, Opcode

if TYPE_CHECKING:
    from stacks.rdma.device import Device


class GeneralServices:
    """QP 1 of one device, and the connection manager behind it."""

    def __init__(self, device: Device, *, rng: random.Random) -> None:
        self._device = device
        self._egresses: dict[str, Egress] = {}
        self._psn = int(rng.random() * 0x1000000)
        self.cm = RdmaCm(device.address[0], rng=rng, config=device.config.cm)

        self.outbox = self.cm.outbox
        """What waits to be sent; empty nearly always, which the device asks before it calls."""

    def handle_packet(self, host: str, bth: Bth, body: memoryview, now: int) -> None:
        """One packet to QP 1 with a good ICRC; anything but a MAD under the right Q_Key is counted and dropped."""
        if (
            bth.opcode != Opcode.UD_SEND_ONLY
            or len(body) != Deth.SIZE + MAD_BYTES
            or Deth.decode(body).qkey != GSI_QKEY
        ):
            self._device.counters.rcvd_mad_err += 1
            return
        self.cm.handle_mad(host, body[Deth.SIZE :], now)

    def handle_timeout(self, now: int) -> None:
        """Pass the time on."""
        self.cm.handle_timeout(now)

    def poll_deadline(self) -> int | None:
        """When the connection manager wants to be called."""
        return self.cm.poll_deadline()

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next MAD as a packet."""
        mad = self.cm.poll_mad(now)
        if mad is None:
            return None
        host, content = mad
        egress = self._egress_to(host)
        send = egress.start()
        extension = Deth(qkey=GSI_QKEY, source_qp=1).encode()
        payload = (memoryview(content),)
        psn = self._psn | ACK_REQUEST
        egress.add(send, SEND_ONLY, 0, psn=psn, extension=extension, payload=payload, length=len(content))
        self._psn = (self._psn + 1) & 0xFFFFFF
        return egress.finish(send)

    def _egress_to(self, host: str) -> Egress:
        egress = self._egresses.get(host)
        if egress is None:
            if len(self._egresses) >= MAX_PEERS:
                self._egresses.clear()
            egress = self._egresses[host] = self._device.egress_to(host, 1, MAD_BYTES, transport=DATAGRAM)
        return egress


MAD_BYTES = 256
GSI_QKEY = 0x80010000
"""The Q_Key of QP 1 (IBTA 10.2.5)."""
MAX_PEERS = 1024
