"""How the verbs answer: a line for people, or what the target said as JSON."""

from __future__ import annotations

from apps.nvme.ctl.asking import Object
from apps.nvme.tables import printable
from apps.output import console
from apps.sizes import format_size


def say(answer: Object, sentence: str, *, as_json: bool) -> None:
    """Print what was done."""
    out = console()
    if as_json:
        out.print_json(data=answer)
    else:
        out.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)


def namespace_words(answer: Object) -> str:
    """A namespace in words: `namespace 3 of nqn...: disk.img, 8 MiB`."""
    count, size = answer["block_count"], answer["block_bytes"]
    assert isinstance(count, int)
    assert isinstance(size, int)
    return f"namespace {answer['nsid']} of {answer['nqn']}: {answer['source']}, {format_size(count * size)}"


def hosts_words(hosts: object) -> str:
    """A list of hosts in words."""
    if not isinstance(hosts, list):
        return "every host"
    return ", ".join(map(str, hosts)) or "no host"
