"""NBD URIs, as people write them."""

from __future__ import annotations

import pytest

from stacks.nvme.nbd import NbdUri, parse_uri
from stacks.runtime import LocalError

GOOD = [
    ("nbd://127.0.0.1", NbdUri()),
    ("nbd://localhost/disk", NbdUri(name="disk")),
    ("nbd:///disk", NbdUri(name="disk")),
    ("nbd://192.0.2.1:0/", NbdUri("192.0.2.1", 0)),
    ("nbd://[fd00::1]:10810//a%20disk", NbdUri("fd00::1", 10810, name="/a disk")),
    ("nbd+unix:///?socket=/tmp/x.sock", NbdUri("", 0, "/tmp/x.sock")),
    ("nbd+unix:///disk?socket=x.sock", NbdUri("", 0, "x.sock", "disk")),
    ("nbd+unix:///d%C3%A9?socket=/tmp/a+b%20c.sock", NbdUri("", 0, "/tmp/a+b c.sock", "dé")),
]


@pytest.mark.parametrize(("text", "uri"), GOOD)
def test_a_uri_says_where_and_what(text: str, uri: NbdUri) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


BAD = [
    ("disk.img", "is no NBD URI; one looks like nbd://"),
    ("nvme+tcp://127.0.0.1", "is no NBD URI"),
    ("nbds://127.0.0.1", "is no NBD URI"),
    ("nbd://127.0.0.1:ten", "is no NBD URI"),
    ("nbd://127.0.0.1:65536", "is no NBD URI"),
    ("nbd://[::1", "is no NBD URI"),
    ("nbd://host.example", "host host.example is no numeric address"),
    ("nbd://127.0.0.1/x?tls-type=psk", "nothing but a port and a name"),
    ("nbd://me@127.0.0.1/x", "nothing but a port and a name"),
    ("nbd://127.0.0.1/x#y", "nothing but a port and a name"),
    ("nbd+unix:///disk", "named by .socket=PATH"),
    ("nbd+unix:///disk?socket=", "named by .socket=PATH"),
    ("nbd+unix:///disk?socket=%00x", "named by .socket=PATH"),
    ("nbd+unix:///disk?socket=x&tls=y", "named by .socket=PATH"),
    ("nbd+unix://127.0.0.1/disk?socket=x", "named by .socket=PATH"),
    ("nbd+unix:///disk?socket=" + "x" * 108, "up to 107 bytes"),
    ("nbd://127.0.0.1/" + "x" * 4097, "up to 4096 bytes"),
    ("nbd://127.0.0.1/%00", "none of them 0"),
]


@pytest.mark.parametrize(("text", "says"), BAD)
def test_what_is_no_uri_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(LocalError, match=says):
        parse_uri(text)
