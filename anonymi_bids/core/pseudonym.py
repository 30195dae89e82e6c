"""Labels and date shifts that only the holder of the seed can link to a person.

Both are keyed hashes (HMAC-SHA256, RFC 2104): the same seed and the same original give the same
answer on every machine, so participants may run apart; without the seed no dictionary of names or
numbers leads back, as it would with a plain hash.
"""

from __future__ import annotations

import hmac

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Characters of a label: no capitals (some file systems fold them), none that look alike."""

DAYS_PER_YEAR = 365.2425

_MIN_YEARS = 140
_SPAN_DAYS = 365 * 20


def keyed_digest(seed: int, purpose: str, original: str) -> bytes:
    """HMAC-SHA256 of a text under the seed.

    Parameters
    ----------
    seed : int
        0 … 2^128 - 1; secret.
    purpose : str
        Keeps uses apart: a label tells nothing about the date shift of the same person.
    original : str
        What is hashed; UTF-8.

    Returns
    -------
    bytes
        32 bytes.
    """
    message = f"{purpose}\x00{original}".encode("utf-8", "surrogatepass")
    return hmac.digest(seed.to_bytes(16, "big"), message, "sha256")


def label_for(seed: int, original: str, length: int = 8) -> str:
    """Label that stands for an original text, e.g. a patient's number.

    Parameters
    ----------
    seed : int
        0 … 2^128 - 1.
    original : str
        Whatever identifies the subject in the input.
    length : int
        Number of characters; 8 leave 31^8 ≈ 8.5 · 10^11 labels.

    Returns
    -------
    str
        Lower-case letters and digits, begins with a letter.
    """
    number = int.from_bytes(keyed_digest(seed, "label", original), "big")
    letters = ALPHABET[8:]
    number, place = divmod(number, len(letters))
    label = letters[place]
    while len(label) < length:
        number, place = divmod(number, len(ALPHABET))
        label += ALPHABET[place]
    return label


def date_offset_days(seed: int, subject: str) -> int:
    """Days to add to every date of a subject.

    One offset a subject keeps the time between visits. It brings any date up to the year 2065
    to 1925 or earlier, which BIDS asks for so that nobody takes a shifted date for a true one
    (BIDS specification, "Describing dates and timestamps"). The random part is uniform over 20
    years.

    Parameters
    ----------
    seed : int
        0 … 2^128 - 1.
    subject : str
        Label or original of the subject; use the same one everywhere.

    Returns
    -------
    int
        Negative; -(140 years + 0 … 20 years).
    """
    number = int.from_bytes(keyed_digest(seed, "date", subject), "big")
    # A year more than asked: the last day of 2065 must not slip into 1926 by leap days.
    return -(round((_MIN_YEARS + 1) * DAYS_PER_YEAR) + number % _SPAN_DAYS)


def seed_for(seed: int, purpose: str, what: str) -> int:
    """Seed for one use of randomness on one thing, 0 … 2^63 - 1.

    Two images of a run get seeds that have nothing in common; a known image does not tell the seed
    of another.
    """
    return int.from_bytes(keyed_digest(seed, f"seed:{purpose}", what)[:8], "big") >> 1
