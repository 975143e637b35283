"""Logs kept in memory, and a tracer with a connection that has started."""

from __future__ import annotations

from stacks.quic.qlog import QlogFiles, QlogTracer

ODCID = bytes.fromhex("8394c8f03e515708")


class Logs:
    """Sinks: what each log has so far, by its name, and which of them are closed."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.closed: list[str] = []

    def __call__(self, name: str) -> _Memory:
        while name in self.files:  # a first Initial packet that was corrupted, and another one
            name += "-again"
        self.files[name] = bytearray()
        return _Memory(self, name)

    def only(self) -> bytes:
        """The bytes of the one log that there is."""
        (log,) = self.files.values()
        return bytes(log)


class _Memory:
    def __init__(self, logs: Logs, name: str) -> None:
        self._logs = logs
        self._name = name

    def write(self, data: bytes) -> None:
        self._logs.files[self._name] += data

    def close(self) -> None:
        self._logs.closed.append(self._name)


def started(logs: Logs | QlogFiles, *, is_client: bool = True, now: int = 0) -> QlogTracer:
    """A tracer that was told of the start."""
    tracer = logs(is_client=is_client) if isinstance(logs, QlogFiles) else QlogTracer(logs, is_client=is_client)
    tracer.connection_started(
        now,
        local=("192.0.2.1", 50000),
        remote=("2001:db8::1", 443),
        source_cid=b"\x01" * 8,
        destination_cid=ODCID,
        original_destination_cid=ODCID,
    )
    return tracer
