"""NVMe over QUIC, an experiment: the PDUs of NVMe/TCP on the streams of QUIC connections, a queue pair a stream.

    TcpTarget   --QuicCarrier-- quic Endpoint        QuicTarget(...), QuicInitiator(...) are the cores of both ends,
    TcpInitiator --QuicCarrier-- quic Endpoint       QuicCarrier makes a `DatagramCore` of either

No standard describes this; both ends have to be of this project. What it gives: one handshake and one congestion
controller for all queue pairs between two addresses, no queue waits for the lost packets of another, TLS 1.3 always,
and connections that survive a change of address. Bytes on a stream are those of the NVMe/TCP transport specification
1.0, ICReq first. Streams are bidirectional, opened by the host; ending one ends its queue.
"""

from stacks.nvme.bindings.quic.carrier import QuicCarrier
from stacks.nvme.bindings.quic.initiator import QuicInitiator
from stacks.nvme.bindings.quic.parameters import initiator_configuration, target_configuration
from stacks.nvme.bindings.quic.target import QuicTarget

__all__ = ["QuicCarrier", "QuicInitiator", "QuicTarget", "initiator_configuration", "target_configuration"]
