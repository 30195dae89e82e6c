"""Take BIDS names apart and judge them by the published schema.

The schema (https://github.com/bids-standard/bids-schema) ships with ``bidsschematools``, on which
pybids depends; it is read once, when the first name is judged.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import Any

from anonymi_bids.model import Entities

IMAGE_EXTENSIONS = (".nii.gz", ".nii")
"""Extensions of files that hold voxels."""

DATATYPES = ("anat", "func", "dwi", "fmap", "perf", "pet")
"""Folders whose images are de-identified; all other datatypes are withheld."""

MASK_SUFFIX = "defacemask"
DERIVATIVES = "derivatives/anonymi-bids"

_PAIR = re.compile(r"([a-zA-Z]+)-([0-9a-zA-Z+]+)")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-_./]?(?:0[1-9]|1[0-2])[-_./]?(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])[-_./]?(?:0[1-9]|1[0-2])[-_./]?(?:19|20)\d\d"
    r"|(?:0[1-9]|1[0-2])[-_./]?(?:0[1-9]|[12]\d|3[01])[-_./]?(?:19|20)\d\d)(?!\d)"
)


@dataclass(frozen=True, slots=True)
class NameRule:
    """One way in which the schema allows a raw file to be named."""

    datatypes: frozenset[str]
    suffixes: frozenset[str]
    extensions: frozenset[str]
    allowed: frozenset[str]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class NameRules:
    """What the schema says of names: rules, order of the entities, allowed values of some."""

    rules: tuple[NameRule, ...]
    order: tuple[str, ...]
    values: dict[str, frozenset[str]]
    indices: frozenset[str]


@functools.cache
def name_rules() -> NameRules:
    """Read the rules for names of raw files from the schema."""
    from bidsschematools.schema import load_schema

    schema: Any = load_schema()
    known = schema.objects.entities
    short = {name: str(known[name]["name"]) for name in known}
    rules = []
    for group in (*DATATYPES, "task", "events", "channels"):
        raw = schema.rules.files.raw
        if group not in raw:
            continue
        for rule in raw[group].values():
            if "suffixes" not in rule:
                continue
            entities = dict(rule["entities"])
            rules.append(
                NameRule(
                    frozenset(rule["datatypes"]),
                    frozenset(rule["suffixes"]),
                    frozenset(rule["extensions"]),
                    frozenset(short[name] for name in entities),
                    frozenset(short[name] for name in entities if _required(entities[name])),
                )
            )
    values = {
        short[name]: frozenset(str(value) for value in known[name]["enum"])
        for name in known
        if "enum" in known[name]
    }
    indices = frozenset(short[name] for name in known if known[name].get("format") == "index")
    return NameRules(tuple(rules), tuple(short[n] for n in schema.rules.entities), values, indices)


def _required(level: Any) -> bool:
    return (level if isinstance(level, str) else level.get("level")) == "required"


def split_extension(name: str) -> tuple[str, str]:
    """Split a file name at its first dot: ``a.nii.gz`` → ``a``, ``.nii.gz``."""
    at = name.find(".", 1)
    return (name, "") if at < 0 else (name[:at], name[at:])


def is_image(name: str) -> bool:
    """Whether the name, in whatever case, says that the file holds a NIfTI image."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def parse_path(path: str) -> Entities | None:
    """Take the name of a file in a participant's folder apart.

    Parameters
    ----------
    path : str
        Relative to the dataset's root, with forward slashes.

    Returns
    -------
    Entities or None
        None if the name is not built like a BIDS name, or folder and name contradict each other.
    """
    *folders, name = path.split("/")
    stem, extension = split_extension(name)
    *pairs, suffix = stem.split("_")
    matches = [_PAIR.fullmatch(pair) for pair in pairs]
    if not re.fullmatch(r"[0-9a-zA-Z]+", suffix) or not all(matches):
        return None
    found = [(match[1], match[2]) for match in matches if match]
    if len({key for key, _ in found}) != len(found) or not found or found[0][0] != "sub":
        return None
    subject = found.pop(0)[1]
    session = found.pop(0)[1] if found and found[0][0] == "ses" else None
    expected = [f"sub-{subject}"] + ([] if session is None else [f"ses-{session}"])
    if folders[: len(expected)] != expected or len(folders) > len(expected) + 1:
        return None
    datatype = folders[len(expected)] if len(folders) > len(expected) else ""
    if datatype.startswith("ses-"):
        return None
    return Entities(subject, session, datatype, suffix, extension, tuple(found))


def name_fault(entities: Entities) -> str:
    """Say in a sentence why a name is not one of BIDS; empty if it is.

    Parameters
    ----------
    entities : Entities

    Returns
    -------
    str
        Speaks of the kind of fault only, never quotes the name.
    """
    if entities.datatype not in DATATYPES:
        return "The file does not lie in a folder of a BIDS datatype that holds brain images."
    schema = name_rules()
    rules = [
        rule
        for rule in schema.rules
        if entities.datatype in rule.datatypes
        and entities.suffix in rule.suffixes
        and entities.extension in rule.extensions
    ]
    if not rules:
        return "The suffix and extension are not known to BIDS for this datatype; rename the file."
    keys = [key for key, _ in entities.others]
    present = {"sub", *keys} | ({"ses"} if entities.session is not None else set())
    if not any(rule.required <= present <= rule.allowed for rule in rules):
        return "BIDS does not allow this combination of entities for the suffix; rename the file."
    ranks = [schema.order.index(key) for key in keys if key in schema.order]
    if ranks != sorted(ranks):
        return "The entities of the name are not in the order that BIDS asks for; rename the file."
    for key, value in entities.others:
        if key in schema.values and value not in schema.values[key]:
            return f"BIDS does not allow this value of the entity {key}; rename the file."
        if key in schema.indices and not value.isdigit():
            return f"The entity {key} must be a whole number; rename the file."
    return ""


def looks_like_date(text: str) -> bool:
    """Whether a text holds what may be a date of 1900 to 2099, with signs between or not."""
    return _DATE.search(text) is not None


def defacemask_entities(entities: Entities) -> Entities | None:
    """Name the mask of an image as BIDS asks: ``[…]_mod-<suffix>_defacemask`` in ``anat/``.

    Parameters
    ----------
    entities : Entities
        Of the image.

    Returns
    -------
    Entities or None
        None where BIDS has no name that tells this mask from that of another image: outside
        ``anat``, and where the image's name has entities (``echo``, ``inv``, ``part``, ``flip``
        …) that a mask's may not have.

    Notes
    -----
    BIDS speaks of masks "for structural images" only, and knows the suffix in ``anat`` alone.
    """
    if entities.datatype != "anat" or entities.suffix == MASK_SUFFIX:
        return None
    order = name_rules().order
    others = sorted((*entities.others, ("mod", entities.suffix)), key=lambda p: order.index(p[0]))
    mask = dataclasses.replace(
        entities, suffix=MASK_SUFFIX, extension=".nii.gz", others=tuple(others)
    )
    return None if name_fault(mask) else mask


def surface_path(image: Entities, what: str = "scalp") -> str:
    """Path of a surface drawn from an image, below the dataset's root.

    Parameters
    ----------
    image : Entities
    what : {"scalp", "outerskull"}

    Returns
    -------
    str
        ``derivatives/anonymi-bids/sub-…/[ses-…/]anat/…_mod-<suffix>_<what>.surf.gii``. BIDS has
        no names for surfaces yet; a raw dataset may hold whatever derivatives there are.
    """
    named = dataclasses.replace(
        image,
        suffix=what,
        extension=".surf.gii",
        others=(*image.others, ("mod", image.suffix)),
    )
    return f"{DERIVATIVES}/{named.path}"


def surface_of(main: str) -> str | None:
    """Path of the surface that may be released with an image, from the image's path."""
    entities = parse_path(main)
    return None if entities is None else surface_path(entities)


def relabel(entities: Entities, subject: str, session: str | None) -> Entities:
    """Give a name another subject and session label."""
    return dataclasses.replace(entities, subject=subject, session=session)


def applies_to(entities: Entities, image: Entities) -> bool:
    """Whether all entities of a file (suffix aside) are those of the image: BIDS inheritance."""
    return set(entities.others) <= set(image.others)
