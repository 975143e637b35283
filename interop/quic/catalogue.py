"""The cases, as the QUIC interop runner has them at 1d6f655: files, path, what the ends are told, what is demanded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from interop.quic.criteria.common import Criterion, handshakes, no_retry, version1
from interop.quic.criteria.handshake import (
    certificate_once,
    early_data,
    only_chacha,
    retry_used,
    several_client_hellos,
    stream_limit,
    version2_chosen,
)
from interop.quic.criteria.paths import fresh_ids, paths_validated, several_addresses
from interop.quic.criteria.transfer import amplification_bounded, both_phases, ecn_used, only_ipv6
from interop.quic.files import KIB, MIB, Files
from interop.quic.peers.peer import Connections, Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuicCase:
    """One case. link: more words for `baremetal link`. timeout_s: of the client. alpn: h3 where that is the point.

    certificates: in the server's chain. host: of the link, between sockets; between_namespaces: instead of sockets, for
    what needs addresses of its own. is_short: in `make interop`. repetitions: of a measurement, with other seeds.
    has_cross_traffic: a TCP flow of the kernel beside it.
    """

    name: str
    text: str
    files: Files
    criteria: tuple[Criterion, ...]
    wishes: Wishes = field(default_factory=Wishes)
    link: Sequence[str] = ()
    delay: str = "15ms"
    timeout_s: float = 60.0
    alpn: str = ""
    certificates: int = 1
    host: str = "127.0.0.1"
    between_namespaces: bool = False
    is_short: bool = False
    repetitions: int = 1
    is_measurement: bool = False
    has_cross_traffic: bool = False


def _loss(percent: int) -> tuple[str, ...]:
    return ("--loss", f"random:p={percent}%,row=3")


def _corruption(percent: int) -> tuple[str, ...]:
    return ("--element", f"corruption=head:p={percent}%,bytes=51,row=3")


REBINDINGS = tuple(word for second in range(1, 60, 5) for word in ("--rebind-at", f"{second}s"))
OTHER_HOSTS = tuple(word for last in range(2, 14) for word in ("--rebind-from", f"127.0.0.{last}"))
ONE = (handshakes(1), version1)

CASES = (
    QuicCase(
        name="handshake",
        text="1 KiB; one handshake, no Retry",
        files=Files((KIB,)),
        criteria=(*ONE, no_retry),
        is_short=True,
    ),
    QuicCase(
        name="transfer",
        text="2 + 3 + 5 MiB at once, the client's window small at first",
        files=Files((2 * MIB, 3 * MIB, 5 * MIB)),
        criteria=ONE,
        wishes=Wishes(client_window_bytes=128 * KIB),
        is_short=True,
    ),
    QuicCase(
        name="longrtt",
        text="1 KiB, 750 ms each way; more than one ClientHello",
        files=Files((KIB,)),
        criteria=(*ONE, no_retry, several_client_hellos),
        delay="750ms",
    ),
    QuicCase(
        name="chacha20",
        text="3 MiB; ChaCha20-Poly1305 alone is offered",
        files=Files((3 * MIB,)),
        criteria=(*ONE, only_chacha),
        wishes=Wishes(is_chacha=True),
    ),
    QuicCase(
        name="multiplexing",
        text="1999 files of 32 bytes; at most 1000 streams at first",
        files=Files((32,) * 1999),
        criteria=(*ONE, stream_limit),
    ),
    QuicCase(
        name="retry",
        text="10 KiB; a Retry, its token in an Initial of a higher number",
        files=Files((10 * KIB,)),
        criteria=(*ONE, retry_used),
        wishes=Wishes(is_retrying=True),
        is_short=True,
    ),
    QuicCase(
        name="resumption",
        text="5 + 10 KiB; two handshakes, a certificate in the first alone",
        files=Files((5 * KIB, 10 * KIB)),
        criteria=(handshakes(2), version1, certificate_once),
        wishes=Wishes(connections=Connections.RESUME),
        is_short=True,
    ),
    QuicCase(
        name="zerortt",
        text="40 files of 32 bytes with names of 250; early data, and little else from the client",
        files=Files((32,) * 40, name_letters=250),
        criteria=(handshakes(2), version1, early_data),
        wishes=Wishes(connections=Connections.EARLY),
        is_short=True,
    ),
    QuicCase(
        name="http3",
        text="5 + 10 + 500 KiB over HTTP/3",
        files=Files((5 * KIB, 10 * KIB, 500 * KIB)),
        criteria=ONE,
        alpn="h3",
        is_short=True,
    ),
    QuicCase(
        name="blackhole",
        text="10 MiB; after 5 s nothing passes for 2 s",
        files=Files((10 * MIB,)),
        criteria=ONE,
        link=("--element", "blackout=5s..7s"),
    ),
    QuicCase(
        name="keyupdate",
        text="3 MiB; packets of phase 1 from both",
        files=Files((3 * MIB,)),
        criteria=(*ONE, no_retry, both_phases),
        wishes=Wishes(updates_keys=True),
        is_short=True,
    ),
    QuicCase(
        name="ecn",
        text="100 KiB; both mark and count",
        files=Files((100 * KIB,)),
        criteria=(*ONE, no_retry, ecn_used),
        wishes=Wishes(has_ecn=True),
    ),
    QuicCase(
        name="amplificationlimit",
        text="5 KiB, nine certificates; datagrams 2 to 7 of the client are dropped",
        files=Files((5 * KIB,)),
        criteria=(*ONE, amplification_bounded),
        link=("--loss", "list:packets=2..7", "--back-loss", "0%"),
        certificates=9,
    ),
    QuicCase(
        name="handshakeloss",
        text="50 connections of 1 KiB; 30 % lost each way",
        files=Files((KIB,) * 50),
        criteria=(handshakes(50), version1),
        wishes=Wishes(connections=Connections.EACH),
        link=_loss(30),
        timeout_s=300,
    ),
    QuicCase(
        name="transferloss",
        text="2 MiB; 2 % lost each way",
        files=Files((2 * MIB,)),
        criteria=ONE,
        link=_loss(2),
        is_short=True,
    ),
    QuicCase(
        name="handshakecorruption",
        text="50 connections of 1 KiB; 30 % damaged each way",
        files=Files((KIB,) * 50),
        criteria=(handshakes(50), version1),
        wishes=Wishes(connections=Connections.EACH),
        link=_corruption(30),
        timeout_s=300,
    ),
    QuicCase(
        name="transfercorruption",
        text="2 MiB; 2 % damaged each way",
        files=Files((2 * MIB,)),
        criteria=ONE,
        link=_corruption(2),
    ),
    QuicCase(
        name="ipv6",
        text="5 + 10 KiB; nothing over IPv4",
        files=Files((5 * KIB, 10 * KIB)),
        criteria=(*ONE, only_ipv6),
        host="::1",
    ),
    QuicCase(
        name="v2",
        text="1 KiB; begun in version 1, answered in version 2",
        files=Files((KIB,)),
        criteria=(version2_chosen,),
        wishes=Wishes(is_version2=True),
    ),
    QuicCase(
        name="rebind-port",
        text="10 MiB; another port of the client after 1 s, then every 5 s",
        files=Files((10 * MIB,)),
        criteria=(*ONE, paths_validated),
        link=REBINDINGS,
    ),
    QuicCase(
        name="rebind-addr",
        text="the same with another address",
        files=Files((10 * MIB,)),
        criteria=(*ONE, paths_validated, several_addresses),
        link=(*REBINDINGS, *OTHER_HOSTS),
    ),
    QuicCase(
        name="connectionmigration",
        text="2 MiB; the client goes to the server's preferred address, with another ID",
        files=Files((2 * MIB,)),
        criteria=(*ONE, paths_validated, fresh_ids),
        wishes=Wishes(wants_preferred=True),
        between_namespaces=True,
    ),
    QuicCase(
        name="goodput",
        text="10 MiB, five times",
        files=Files((10 * MIB,)),
        criteria=ONE,
        repetitions=5,
        is_measurement=True,
    ),
    QuicCase(
        name="crosstraffic",
        text="25 MiB beside a TCP flow of the kernel with CUBIC",
        files=Files((25 * MIB,)),
        criteria=ONE,
        timeout_s=180,
        between_namespaces=True,
        is_measurement=True,
        has_cross_traffic=True,
    ),
)
BY_NAME = {case.name: case for case in CASES}
