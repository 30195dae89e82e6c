"""Rules by which the value of a sidecar field is kept, replaced by a term or dropped."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

Rule = Callable[[Any], Any]
"""Returns the value to release, or `DROP`."""

DROP: Any = object()
"""What a rule returns for a value that must not be released."""


def number(low: float, high: float, *, whole: bool = False) -> Rule:
    """Make a rule that keeps one finite number within a closed range."""

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return DROP
        if not math.isfinite(value) or not low <= value <= high:
            return DROP
        return DROP if whole and value != int(value) else value

    return check


def numbers(low: float, high: float, *, most: int = 100_000, single: bool = False) -> Rule:
    """Make a rule that keeps a list of numbers (or, if `single`, one number too)."""
    one = number(low, high)

    def check(value: Any) -> Any:
        if not isinstance(value, list):
            return one(value) if single else DROP
        if not value or len(value) > most or any(one(entry) is DROP for entry in value):
            return DROP
        return list(value)

    return check


def flag(value: Any) -> Any:
    """Keep a truth value."""
    return value if isinstance(value, bool) else DROP


def term(*allowed: str) -> Rule:
    """Make a rule that keeps a text, or a list of nothing but such texts, from a closed list."""
    known = {entry.casefold(): entry for entry in allowed}

    def check(value: Any) -> Any:
        if isinstance(value, list):
            kept = [known.get(v.casefold(), DROP) if isinstance(v, str) else DROP for v in value]
            return DROP if not kept or any(entry is DROP for entry in kept) else kept
        return known.get(value.casefold(), DROP) if isinstance(value, str) else DROP

    return check


def joined(*allowed: str, extra: str = r"(?!)") -> Rule:
    r"""Make a rule that keeps those parts of ``A\B_C`` (or of a list) that are known terms."""
    known = frozenset(allowed)
    pattern = re.compile(extra)

    def parts_of(text: str) -> list[str]:
        parts = text.split("\\") if "\\" in text or pattern.fullmatch(text) else text.split("_")
        return [part for part in parts if part in known or pattern.fullmatch(part)]

    def check(value: Any) -> Any:
        if isinstance(value, str):
            kept = parts_of(value)
            return ("\\" if "\\" in value else "_").join(kept) if kept else DROP
        if isinstance(value, list):
            kept = [part for entry in value if isinstance(entry, str) for part in parts_of(entry)]
            return kept or DROP
        return DROP

    return check


def shaped(pattern: str) -> Rule:
    """Make a rule that keeps a text that fits a closed pattern as a whole."""
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        return value if isinstance(value, str) and compiled.fullmatch(value) else DROP

    return check


def mapped(*pairs: tuple[str, str]) -> Rule:
    """Make a rule that replaces a text by the name whose pattern occurs in it."""

    def check(value: Any) -> Any:
        if not isinstance(value, str):
            return DROP
        folded = value.strip().casefold()
        return next((name for pattern, name in pairs if re.search(pattern, folded)), DROP)

    return check


def constant(text: str) -> Rule:
    """Make a rule that replaces any text by one that says nothing."""

    def check(value: Any) -> Any:
        return text if isinstance(value, str) else DROP

    return check
