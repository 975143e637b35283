"""Where a connection goes: connection IDs, paths and their validation, tokens, stateless resets, path MTU."""

from stacks.quic.paths.local_ids import IdChange, LocalConnectionIds
from stacks.quic.paths.mtu import MtuDiscovery
from stacks.quic.paths.path import Path
from stacks.quic.paths.paths import Paths
from stacks.quic.paths.peer_ids import PeerConnectionIds
from stacks.quic.paths.stateless_reset import ResetToken, build_reset, reset_token
from stacks.quic.paths.tokens import Token, TokenKeeper

__all__ = [
    "IdChange",
    "LocalConnectionIds",
    "MtuDiscovery",
    "Path",
    "Paths",
    "PeerConnectionIds",
    "ResetToken",
    "Token",
    "TokenKeeper",
    "build_reset",
    "reset_token",
]
