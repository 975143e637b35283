"""A transport of packets without contents: real controllers, real loss recovery, no bytes and no handshake.

    Sender(controller_factory(name), Flow(...)) -> DataPacket -> any path of transports.link -> Receiver -> AckPacket
    a receiver with `cnp_interval_ns`, of marked packets -> CnpPacket -> Sender.handle_notification

The laboratory runs it in virtual time. Everything is sans-IO.
"""

from stacks.model.packets import AckPacket, CnpPacket, DataPacket
from stacks.model.receiver import Receiver, ReceiverConfig
from stacks.model.sender import Sender

__all__ = ["AckPacket", "CnpPacket", "DataPacket", "Receiver", "ReceiverConfig", "Sender"]
