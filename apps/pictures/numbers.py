"""Numbers with their units as people read them."""

from __future__ import annotations


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


def _scaled(value: float, units: tuple[tuple[str, float], ...], least: str) -> str:
    for unit, scale in units:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} {least}"
