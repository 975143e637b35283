"""Acknowledgements, losses and congestion (RFC 9002): what arrived, what was sent, and when to send the next."""

from stacks.quic.recovery.congestion import PathCongestion
from stacks.quic.recovery.probing import Probe
from stacks.quic.recovery.received import ReceivedPackets
from stacks.quic.recovery.recovery import Recovery
from stacks.quic.recovery.sent_packet import SentPacket

__all__ = ["PathCongestion", "Probe", "ReceivedPackets", "Recovery", "SentPacket"]
