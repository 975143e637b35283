"""Numbers of results as people read them; the name of a metric ends with its unit."""

from __future__ import annotations


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


def show_number(unit: str, value: object) -> str:
    """A number with its unit; a dash for -1, which stands for nothing."""
    if not isinstance(value, int | float):
        return str(value)
    if value == -1 and unit:
        return "-"
    if unit == "bps":
        return _scaled(value, (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)), "bit/s")
    if unit == "ns":
        return _scaled(value, (("s", 1e9), ("ms", 1e6), ("us", 1e3)), "ns")
    if unit == "bytes":
        return _scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)), "B")
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def short_word(word: str) -> str:
    """A value as tables have room for it: a controller in a file without the folders, anything else as it is."""
    return word.rpartition("/")[2] if ".py:" in word else word


def _scaled(value: float, units: tuple[tuple[str, float], ...], least: str) -> str:
    for unit, scale in units:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} {least}"


SHARES = {"utilisation", "loss", "harm_of_goodput", "harm_of_delay"}
