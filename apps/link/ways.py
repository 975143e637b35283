"""The options that say what the two ways of a link are like; the way back is as the way there but for what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from transports.errors import TransportError
from transports.link.elements import SLOTS
from transports.relay import DirectionConfig


def _checked(name: str) -> Callable[[str], str]:
    """A reader of one option that leaves the text as it is."""

    def read(text: str) -> str:
        try:
            DirectionConfig(**{name: text})  # type: ignore[arg-type]
        except TransportError as error:
            raise typer.BadParameter(str(error).removeprefix("link: ")) from error
        return text

    return read


def parse_element(text: str) -> str:
    """NAME=SPEC of another element."""
    name, equals, spec = text.partition("=")
    if not equals or name not in SLOTS or name == "loss":
        others = ", ".join(each for each in SLOTS if each != "loss")
        raise typer.BadParameter(f"{text!r} is no element; write it like jitter=3ms, with one of {others}")
    try:
        DirectionConfig(elements=((name, spec),))
    except TransportError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def two_ways(
    there: tuple[str, str, str, str, str, list[str] | None],
    back: tuple[str | None, str | None, str | None, str | None, str | None, list[str] | None],
) -> tuple[DirectionConfig, DirectionConfig]:
    """Both ways, from what was said of each: rate, delay, queue, limit, loss, elements; None for as the way there.

    TransportError for options that do not go together.
    """
    rate, delay, queue, limit, loss, elements = there
    forward = DirectionConfig(
        rate=rate, delay=delay, queue=queue, limit=limit, loss=loss, elements=_elements(elements or [])
    )
    *others, back_elements = back
    given = {name: text for name, text in zip(NAMES, others, strict=True) if text is not None}
    backward = replace(forward, **given)  # type: ignore[arg-type]
    return forward, backward if back_elements is None else replace(backward, elements=_elements(back_elements))


def _elements(texts: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, spec) for name, _, spec in (text.partition("=") for text in texts))


def _option(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(parser=_checked(name), metavar=metavar, help=text)
    return found


NAMES = ("rate", "delay", "queue", "limit", "loss")
NONE = DirectionConfig()
Rate = Annotated[str, _option("rate", "RATE", "20mbit; also shaper:, schedule:, trace:file=FILE. Left out: no limit.")]
Delay = Annotated[str, _option("delay", "TIME", "From one end to the other: 20ms.")]
Queue = Annotated[str, _option("queue", "QUEUE", "droptail, red, codel:target=5ms, fq_codel, pie, dualpi2, ...")]
Limit = Annotated[str, _option("limit", "ROOM", "What the queue holds: 100packets, 64KiB, 40ms; 0: no limit.")]
Loss = Annotated[str, _option("loss", "LOSS", "1%; also ge:p=0.01,r=0.3, burst:, list:packets=5|9.")]
Elements = Annotated[
    list[str] | None,
    typer.Option(
        "--element",
        parser=parse_element,
        metavar="NAME=SPEC",
        help="Another one: reordering=1%, jitter=3ms. Repeatable.",
    ),
]
NewRate = Annotated[str | None, _option("rate", "RATE", "Of both ways from now on: 5mbit.")]
NewDelay = Annotated[str | None, _option("delay", "TIME", "Of both ways from now on: 40ms.")]
NewLoss = Annotated[str | None, _option("loss", "LOSS", "Of both ways from now on: 1%; 0% for none.")]
BackRate = Annotated[str | None, _option("rate", "RATE", "Of the way back; as --rate.")]
BackDelay = Annotated[str | None, _option("delay", "TIME", "Of the way back.")]
BackQueue = Annotated[str | None, _option("queue", "QUEUE", "Of the way back.")]
BackLimit = Annotated[str | None, _option("limit", "ROOM", "Of the way back.")]
BackLoss = Annotated[str | None, _option("loss", "LOSS", "Of the way back.")]
BackElements = Annotated[
    list[str] | None,
    typer.Option("--back-element", parser=parse_element, metavar="NAME=SPEC", help="Of the way back. Repeatable."),
]
