"""Numbers in words that people understand: so many of a hundred, so many people."""

from __future__ import annotations


def per_hundred(share: float) -> str:
    """Write a share as a number of 100.

    Two significant digits below ten, whole numbers above; neither rare nor nearly certain is
    rounded away to 0 or 100.

    Parameters
    ----------
    share : float
        0 … 1.

    Returns
    -------
    str
    """
    number = 100 * share
    if number == 0 or 9.95 <= number <= 99:
        return f"{number:.0f}"
    if number > 99:
        return f"{min(number, 99.9):.1f}" if number < 100 else "100"
    return f"{number:.2g}" if number < 1 else f"{number:.1f}".removesuffix(".0")


def count_people(n: int) -> str:
    """Write a number of people: ``1 person``, ``2 people``."""
    return "1 person" if n == 1 else f"{n} people"
