"""A transport of packets without contents: real controllers, real loss recovery, no bytes and no handshake.

    Sender(controller_factory(name), Flow(...)) -> DataPacket -> any path of transports.link -> Receiver -> AckPacket

The laboratory runs it in virtual time. Everything is sans-IO.
"""

from stacks.model.packets import AckPacket, DataPacket
from stacks.model.receiver import Receiver, ReceiverConfig
from stacks.model.sender import Sender

__all__ = ["AckPacket", "DataPacket", "Receiver", "ReceiverConfig", "Sender"]
