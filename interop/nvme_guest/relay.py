"""`python -m interop.nvme_guest.relay LISTEN PORT TO PORT`: pass a TCP connection's bytes on, both ways.

So two kernels' words to each other come past where they are recorded.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def main() -> None:
    """Relay connections until the process is killed; prints a line when the first can come."""
    listen, port, to, to_port = sys.argv[1:]
    with socket.create_server((listen, int(port))) as server:
        print("ready", flush=True)
        while True:
            near, _ = server.accept()
            far = socket.create_connection((to, int(to_port)))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


CHUNK_BYTES = 1 << 16

if __name__ == "__main__":
    main()
