"""ECN over whole connections: both ends mark, and go on marking (RFC 9000 13.4)."""

from __future__ import annotations

import pytest

from stacks.quic.events import StreamReadable
from stacks.quic.recovery.ecn import EcnState
from tests.stacks.quic.rig import Rig, events_of


@pytest.mark.parametrize("is_upload", [False, True])
def test_an_end_that_only_acknowledges_goes_on_marking_too(is_upload: bool) -> None:
    rig = Rig()
    client, server = rig.establish()
    sender, receiver = (client, server) if is_upload else (server, client)
    stream = sender.open_stream()
    sender.write(stream, bytes(300_000), is_fin=True)
    for _ in range(20):
        rig.run(50_000_000)
        for event in events_of(receiver):
            if isinstance(event, StreamReadable):
                receiver.read(event.stream_id)
    assert receiver.streams.is_finished(stream)
    assert sender.path.congestion.validation.state == EcnState.CAPABLE
    assert receiver.path.congestion.validation.state == EcnState.CAPABLE
