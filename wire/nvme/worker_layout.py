"""Messages between the process that owns a target and its workers, over a Unix stream; of this project alone.

A message is a header, and LENGTH bytes of data behind it. `WORKER_COMMAND` is the header of those that carry a
submission entry; its first eight words are those of `WORKER_MESSAGE`.

No document describes these, and both ends are of one program: there are no vectors but our own.
"""

from __future__ import annotations

from construct import Int32ul, Padding, Struct

WORKER_MESSAGE = (
    Struct(
        "kind" / Int32ul,
        "connection" / Int32ul,
        "tag" / Int32ul,
        "length" / Int32ul,
        "value" / Int32ul,
        "dw0" / Int32ul,
        "dw1" / Int32ul,
        Padding(4),
    )
    * """Any message. connection: its number, of both ends; tag: of a command there; length: of the data that follows.
    value: a status word, a status code or a number of bytes, as the kind says; dw0, dw1: of a completion.
    """
)

WORKER_COMMAND = (
    Struct(
        "kind" / Int32ul,
        "connection" / Int32ul,
        "tag" / Int32ul,
        "length" / Int32ul,
        "value" / Int32ul,
        "code" / Int32ul,
        "location" / Int32ul,
        Padding(4),
        *(f"word{index}" / Int32ul for index in range(16)),
    )
    * """A command, whole or refused. length: of its capsule's data, which follows; value: what its SGL describes.
    code, location: why the binding refused it, and the byte of the entry, plus one; 0 where it does not say.
    word0 to word15: the submission entry.
    """
)
