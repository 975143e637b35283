"""Numbers of results as people read them; the name of a metric ends with its unit."""

from __future__ import annotations

from apps.pictures.numbers import show_number


def show_value(name: str, value: object) -> tuple[str, str]:
    """A metric's label, without the unit that its name ends with, and its value."""
    if isinstance(value, str):
        return name, value
    for unit in ("bps", "ns", "bytes"):
        if name.endswith(f"_{unit}"):
            label = name.removesuffix(f"_{unit}").replace("_", " ")
            return label, show_number(unit, -1 if value is None else value)
    label = name.replace("_", " ")
    if value is None:
        return label, "-"
    if name.rpartition(".")[2] in SHARES and isinstance(value, float):
        return label, f"{100 * value:.2f} %"
    if name == "power" and isinstance(value, int | float):
        return label, f"{value / 1e6:.4g} Mbit/s per s"
    return label, show_number("", value)


def short_word(word: str) -> str:
    """A value as tables have room for it: a controller in a file without the folders, anything else as it is."""
    return word.rpartition("/")[2] if ".py:" in word else word


SHARES = {"utilisation", "loss", "harm_of_goodput", "harm_of_delay"}
