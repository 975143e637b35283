"""Who may send a flow: our model sender, a kernel, the real stacks as they come.

A sender is a word, some with something behind a colon: `linux:bbr` is the kernel's TCP with its bbr. Which of them a
run can have depends on its runner (`stacks.lab.runners`): virtual time has only models.
"""

from __future__ import annotations

from stacks.runtime.errors import LocalError
from stacks.runtime.toml_table import suggestion


def check_sender(value: object) -> str:
    """A sender's name; LocalError, in words that follow the key's name, for one that nobody has heard of."""
    if not isinstance(value, str):
        raise LocalError(f"is text in quotes, not {value!r}")
    word, colon, argument = value.partition(":")
    if word not in SENDERS:
        raise LocalError(f"is not {value!r}; {suggestion(word, SENDERS, 'there are')}")
    if word == "linux" and not argument:
        raise LocalError('names the kernel\'s algorithm as well, such as "linux:cubic"')
    if word == "nvme" and argument not in STORAGE_TRANSPORTS:
        raise LocalError(f"names the transport as well: {', '.join(f'nvme:{each}' for each in STORAGE_TRANSPORTS)}")
    if word not in ("linux", "nvme") and colon:
        raise LocalError(f"is {word!r} alone, not {value!r}")
    return value


SENDERS = {
    "model": "packets without contents, with a real controller, in virtual time",
    "linux": "the kernel's TCP, in real time",
    "quic": "our QUIC",
    "toe": "our TCP",
    "rdma": "our RDMA over RoCEv2",
    "nvme": "NVMe commands over our RDMA, our QUIC or a model of TCP, in virtual time",
}
STORAGE_TRANSPORTS = ("rdma", "tcp", "quic")
