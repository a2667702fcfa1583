"""Figures as a reader meets them: no share is rounded to all or to nothing, and what is missing is said to be."""

from __future__ import annotations

from typing import Optional, Union

NOT_MEASURED = "not measured"
_MINUS = "\N{MINUS SIGN}"
_SHARE_DIGITS, _DIGITS = range(1, 7), range(4, 10)


def percent(share: Optional[float]) -> str:
    """A share as a percentage, 0% or 100% only where it is exactly that."""
    if share is None:
        return NOT_MEASURED
    if share in (0, 1):
        return f"{share:.0%}"
    texts = [f"{share:.{digits}%}" for digits in _SHARE_DIGITS]
    return next((text for text in texts if float(text[:-1]) not in (0, 100)), texts[-1])


def signed(value: Optional[float], digits: int = 2) -> str:
    """A difference with its sign, 0 only where there is none."""
    if value is None:
        return NOT_MEASURED
    if not value:
        return "0"
    text = f"{value:+.{digits}f}"
    return (text if float(text) else f"{value:+.1g}").replace("-", _MINUS)


def fixed(value: Optional[float], digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def number(value: Union[None, int, float]) -> str:
    """A whole number in full, any other with four significant digits, or more to tell it from a whole one."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", _MINUS)
    texts = [f"{value:.{digits}g}" for digits in _DIGITS]
    text = next((text for text in texts if float(text) == value or not float(text).is_integer()), texts[0])
    return text.replace("-", _MINUS)


def duration(seconds: Optional[float]) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: Optional[float]) -> str:
    """Bytes in units of a thousand."""
    if count is None:
        return NOT_MEASURED
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def quantity(value: Optional[float], name: str) -> str:
    """A number in the unit that its name tells: seconds, bytes, or none."""
    words = name.split("_")
    if "seconds" in words:
        return duration(value)
    return size(value) if "bytes" in words else number(value)


def label(name: str) -> str:
    """A name as the beginning of a line."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
