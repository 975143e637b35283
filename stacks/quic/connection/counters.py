"""What a connection and its endpoint count."""

from __future__ import annotations

import dataclasses

from stacks.runtime import Counters


@dataclasses.dataclass(slots=True, eq=False)
class ConnectionCounters(Counters):
    """Datagrams and packets of one connection.

    dropped: packets that were thrown away unread, by reason: keys that are gone or not there yet and do not come
    (`dropped_keys`), forged or corrupted (`dropped_forged`), of another version or with other connection IDs
    (`dropped_foreign`), seen before (`dropped_duplicates`), malformed headers (`dropped_malformed`).
    """

    datagrams_sent: int = 0
    datagrams_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dropped_keys: int = 0
    dropped_forged: int = 0
    dropped_foreign: int = 0
    dropped_duplicates: int = 0
    dropped_malformed: int = 0
    key_updates: int = 0


@dataclasses.dataclass(slots=True, eq=False)
class EndpointCounters(Counters):
    """Datagrams that belong to no connection, and what became of them.

    dropped_forged: first packets of clients that could not be opened, in whole or in part corrupted.
    """

    connections_accepted: int = 0
    connections_refused: int = 0
    version_negotiations_sent: int = 0
    retries_sent: int = 0
    invalid_tokens: int = 0
    stateless_resets_sent: int = 0
    stateless_resets_received: int = 0
    dropped_short: int = 0
    dropped_forged: int = 0
    dropped_unknown: int = 0
    dropped_malformed: int = 0
