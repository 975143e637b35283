"""`python -m interop.quic.peers aioquic|qh3 serve|get ...`: a server or a client of files on one of these libraries."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from interop.quic.peers.library_client import get
from interop.quic.peers.library_server import serve
from interop.quic.peers.library_settings import Settings


def main() -> int:
    """0 when all files came, or when a server was told to end."""
    parser = argparse.ArgumentParser(prog="python -m interop.quic.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("library", choices=["aioquic", "qh3"])
    roles = parser.add_subparsers(dest="role", required=True)
    server, client = roles.add_parser("serve"), roles.add_parser("get")
    for each in (server, client):
        each.add_argument("--alpn", default="h3", choices=["h3", "hq-interop"])
        each.add_argument("--key-log", type=Path)
        each.add_argument("--version2", action="store_true", help="prefer version 2, having begun with version 1")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, required=True)
    server.add_argument("--directory", type=Path, required=True)
    server.add_argument("--certificate", type=Path, required=True)
    server.add_argument("--key", type=Path, required=True)
    server.add_argument("--retry", action="store_true", help="validate each address")
    client.add_argument("--out", type=Path, required=True)
    client.add_argument("--connections", default="one", choices=["one", "each", "resume", "early"])
    client.add_argument("--window", type=int, default=0, help="of flow control at first, in bytes")
    client.add_argument("--chacha20", action="store_true", help="offer no other cipher suite")
    client.add_argument("--key-update", action="store_true", help="update keys once the handshake is confirmed")
    client.add_argument("urls", nargs="+", metavar="URL")
    arguments = parser.parse_args()
    settings = Settings(arguments.library, arguments.alpn, arguments.key_log, is_version2=arguments.version2)
    if arguments.role == "serve":
        asyncio.run(serve(settings, arguments))
        return 0
    missing = asyncio.run(get(settings, arguments))
    if missing:
        print(f"{len(missing)} of {len(arguments.urls)} files did not come, the first {missing[0]}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
