"""From the command line, policy and files to one frozen `Settings`."""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from anonymi_bids.cli.parser import NOT_YET
from anonymi_bids.errors import SettingsError, UsageError
from anonymi_bids.io.atomic import write_text
from anonymi_bids.settings import Settings, as_dict, merge

POLICIES = ("open-sharing", "controlled-access", "eeg-source")
GIVEN_BY_HAND = {"landmarks": "--landmarks", "face_masks": "--face-masks"}
"""Settings that name files given by hand → the option."""


def settings_from(args: argparse.Namespace, private: Path) -> Settings:
    """Lay policy, file and command line over the defaults.

    The seed is that of the command line, else of the policy file, else of an earlier run into the
    same OUTPUT, else drawn at random.

    Raises
    ------
    SettingsError
        If a policy or a value is wrong.
    """
    for name, option in NOT_YET.items():
        if getattr(args, name):
            raise UsageError(f"The option {option} is not built in this version; leave it out.")
    if args.regions == "head":
        raise UsageError(
            "The vault's skin cannot be changed in this version (--regions head): no gate can "
            "tell yet whether it is gone; leave the option out."
        )
    settings = Settings()
    has_seed = False
    if args.policy is not None:
        changes = read_policy(args.policy)
        has_seed = "seed" in changes
        settings = _from_folder_of(args.policy, merge(settings, changes))
    changes = _from_command_line(args)
    has_seed = has_seed or "seed" in changes
    settings = merge(settings, changes)
    if not has_seed:
        settings = merge(settings, {"seed": earlier_seed(private) or secrets.randbits(127) + 1})
    return _with_digests(settings)


def _from_folder_of(policy: str, settings: Settings) -> Settings:
    """Take paths in a settings file as relative to its folder."""
    folder = Path(policy).resolve().parent
    paths = {
        name: os.fspath(folder / getattr(settings.manual, name))
        for name in GIVEN_BY_HAND
        if getattr(settings.manual, name)
    }
    changes: dict[str, Any] = {"manual": paths}
    for name in ("gallery", "photos"):
        if getattr(settings.audit, name):
            changes.setdefault("audit", {})[name] = os.fspath(
                folder / getattr(settings.audit, name)
            )
    return merge(settings, changes)


def _with_digests(settings: Settings) -> Settings:
    """Record what the files given by hand hold; refuse one that is not what was recorded."""
    digests = {}
    for name, option in GIVEN_BY_HAND.items():
        path = getattr(settings.manual, name)
        if not path:
            continue
        from anonymi_bids.bids.byhand import digest_of

        digests[f"{name}_sha256"] = digest_of(Path(path), option)
        recorded = getattr(settings.manual, f"{name}_sha256")
        if recorded not in ("", digests[f"{name}_sha256"]):
            raise SettingsError(
                f"What the settings file names for {option} has changed since they were recorded; "
                f"restore it, or give {option} anew."
            )
    return merge(settings, {"manual": digests})


def read_policy(name: str) -> dict[str, Any]:
    """Read a packaged policy by name, or a settings file."""
    path = Path(name)
    if name in POLICIES:
        from anonymi_bids.io.packaged import data_folder

        path = data_folder() / "policies" / f"{name}.toml"
    elif path.suffix != ".toml":
        raise SettingsError(
            f"The policy is none of {', '.join(POLICIES)} and no .toml file; give one of them."
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("The policy file cannot be read; check its path.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The policy file is not valid TOML ({error}); correct it.") from error


def _from_command_line(args: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if args.seed is not None:
        changes["seed"] = args.seed
    deface = {"method": args.method, "surface_style": args.surface_style}
    deface["surfaces"] = True if args.surfaces else None
    deface = {name: value for name, value in deface.items() if value is not None}
    if deface:
        changes["deface"] = deface
    given = {name: getattr(args, name) for name in GIVEN_BY_HAND if getattr(args, name)}
    if given:
        changes["manual"] = {name: os.path.abspath(path) for name, path in given.items()}
        changes["manual"] |= {f"{name}_sha256": "" for name in given}
    audit = {"audit": args.audit, "recogniser": args.recogniser}
    audit["photos"] = args.photos and os.path.abspath(args.photos)
    audit["gallery"] = args.gallery and os.path.abspath(args.gallery)
    audit = {name: value for name, value in audit.items() if value}
    if audit:
        changes["audit"] = audit
    if args.qc is not None:
        changes["qc"] = args.qc
    if args.pseudonyms:
        changes["convert"] = {"pseudonyms": True}
    return changes


def earlier_seed(private: Path) -> int | None:
    """Seed of an earlier run into the same OUTPUT, if there was one."""
    path = private / "seed"
    return int(path.read_text(encoding="ascii")) if path.is_file() else None


def agree_on_seed(settings: Settings, private: Path, *, given: bool) -> Settings:
    """Let runs that start at the same time into one OUTPUT use one seed: the first one's.

    Parameters
    ----------
    given : bool
        The user gave the seed: it replaces an earlier one.
    """
    path = private / "seed"
    if given:
        write_text(path, f"{settings.seed}\n")
        return settings
    handle, name = tempfile.mkstemp(dir=private, prefix=".tmp-seed")
    with os.fdopen(handle, "w") as stream:
        stream.write(f"{settings.seed}\n")
    try:
        # A link, unlike a rename, fails if another run was first: it is safe on NFS too.
        os.link(name, path)
    except FileExistsError:
        return merge(settings, {"seed": int(path.read_text(encoding="ascii"))})
    finally:
        os.unlink(name)
    return settings


def write_settings(settings: Settings, private: Path) -> None:
    """Record the settings as TOML; given back with ``--policy`` they repeat the run."""
    values = as_dict(settings)
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines = ["# Settings of the last run; --policy private/settings.toml repeats it."]
    lines += [f"{key} = {_toml(value)}" for key, value in values.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    write_text(private / "settings.toml", "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "[" + ", ".join(_toml(entry) for entry in value) + "]"
