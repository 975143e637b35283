"""QUIC implementations as processes: how each is started, as server and as client.

    peer         what the runner asks of each: command lines for a task
    library      aioquic and qh3, whose APIs are alike, by the program beside it (`python -m interop.quic.peers`)
    ngtcp2       Debian's gtlsserver and gtlsclient
    ours         `baremetal quic`
"""

from interop.quic.peers.library import AIOQUIC, QH3
from interop.quic.peers.ngtcp2 import Ngtcp2
from interop.quic.peers.ours import Ours
from interop.quic.peers.peer import Peer

OURS = Ours()
PEERS: dict[str, Peer] = {peer.name: peer for peer in (OURS, AIOQUIC, QH3, Ngtcp2())}
"""By name. Ours is first."""
FOREIGN = tuple(name for name in PEERS if name != OURS.name)
"""All but ours."""
