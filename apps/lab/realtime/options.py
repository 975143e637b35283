"""A link of an experiment as `baremetal link tun` takes it on its command line."""

from __future__ import annotations

from collections.abc import Mapping

from stacks.lab.experiment.values import HopConfig


def link_options(hop: HopConfig, *, rtt_ns: int, packet_bytes: int) -> list[str]:
    """Both ways. rtt_ns: of the topology, by which buffers are sized."""
    words: list[str] = []
    for link, back in ((hop.forward, ""), (hop.backward, "back-")):
        given = {"rate": "unlimited", "queue": "droptail", "limit": "0", "loss": ""}
        if link.rate_bps is not None:
            given |= {"rate": _rate(link.rate), "queue": as_words(link.queue)}
            given["limit"] = f"{link.buffer.size_bytes(link.rate_bps, rtt_ns, packet_bytes)}B"
        given["delay"] = f"{link.delay_ns}ns"
        elements = dict(link.elements)
        if "loss" in elements:
            given["loss"] = as_words(elements.pop("loss"))
        words += [word for name, text in given.items() for word in (f"--{back}{name}", text)]
        words += [
            word for name, value in elements.items() for word in (f"--{back}element", f"{name}={as_words(value)}")
        ]
    return words


def as_words(value: object) -> str:
    """What TOML says of a kind, as command lines have it: `codel:target=5ms`, `schedule:changes=0s=20mbit|5s=0`."""
    if isinstance(value, Mapping):
        pairs = [f"{key}={_parameter(key, each)}" for key, each in value.items() if key != "kind"]
        return ":".join(filter(None, (str(value.get("kind", "")), ",".join(pairs))))
    return _scalar(value)


def _rate(value: object) -> str:
    """A whole number is bits a second, which a command line wants to be said."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"{value}bit" if is_number else as_words(value)


def _parameter(key: str, value: object) -> str:
    if key in RATES:
        return _rate(value)
    if not isinstance(value, list | tuple):
        return _scalar(value)
    if key == "changes":
        return "|".join(
            f"{_scalar(each[0])}={_rate(each[1])}" if isinstance(each, list | tuple) else as_words(each)
            for each in value
        )
    return "|".join(
        "..".join(map(_scalar, each)) if isinstance(each, list | tuple) else as_words(each) for each in value
    )


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


RATES = ("rate", "peak")
"""Parameters of elements and shapers that are rates."""
