"""What a run would do: read from headers and names, before any image is touched."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anonymi_bids.cli.byhand import ByHand, attach, labels_of, read_by_hand, say_by_hand
from anonymi_bids.cli.places import Places
from anonymi_bids.cli.progress import say
from anonymi_bids.errors import InputError, SettingsError, UsageError
from anonymi_bids.model import FileFate, SessionPlan
from anonymi_bids.settings import Settings, merge

if TYPE_CHECKING:
    from anonymi_bids.bids.plan import DatasetPlan
    from anonymi_bids.dicom.build import DicomBuild
    from anonymi_bids.dicom.plan import DicomPlan


@dataclass(frozen=True, slots=True)
class Checked:
    """INPUT after a first look: a BIDS dataset or a DICOM tree.

    Attributes
    ----------
    dataset : DatasetPlan or None
        What is in a BIDS dataset.
    dicom : DicomPlan or None
        What is in a DICOM tree, told from headers.
    hand : ByHand
        Landmarks and regions given by hand.
    """

    dataset: DatasetPlan | None = None
    dicom: DicomPlan | None = None
    hand: ByHand = field(default_factory=ByHand)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the participant level is to do.

    Attributes
    ----------
    dataset : DatasetPlan
        Of INPUT, or of the private BIDS tree that DICOM was converted to.
    needles : mapping
        Subject (label of the release) → texts that must not be found in its release.
    fates : tuple of FileFate
        Of DICOM series and files that never became an image.
    build : DicomBuild or None
        What was made of DICOM, for ``key.tsv``.
    """

    dataset: DatasetPlan
    needles: Mapping[str, tuple[str, ...]]
    fates: tuple[FileFate, ...] = ()
    build: DicomBuild | None = field(default=None)

    @property
    def sessions(self) -> tuple[SessionPlan, ...]:
        """Sessions of all chosen participants."""
        return self.dataset.sessions


def is_bids(root: Path, *, trusted: bool) -> bool:
    """Whether INPUT is a BIDS dataset.

    Parameters
    ----------
    trusted : bool
        Accept folders named ``sub-…`` without a dataset_description.json.

    Raises
    ------
    InputError
        If it looks like one but has no description.
    """
    if (root / "dataset_description.json").is_file():
        return True
    subjects = [path for path in root.iterdir() if path.name.startswith("sub-") and path.is_dir()]
    images = any(
        next(folder.rglob(pattern), None) is not None
        for folder in subjects
        for pattern in ("*.nii.gz", "*.nii")
    )
    if images and not trusted:
        raise InputError(
            "INPUT has folders named sub-<label> but no dataset_description.json; add that file, "
            "or use --skip-bids-validation."
        )
    return images


def check_input(places: Places, args: argparse.Namespace, settings: Settings) -> Checked:
    """Find out what INPUT holds, without writing anything.

    Raises
    ------
    InputError, SettingsError
    """
    if is_bids(places.input, trusted=args.skip_bids_validation):
        dataset = _index(places.input, args, settings)
        hand = read_by_hand(settings, labels_of(places.input))
        return Checked(dataset=_attached(dataset, hand, args), hand=hand)
    from anonymi_bids.dicom.plan import plan_dicom

    dicom = plan_dicom(
        places.input,
        seed=settings.seed,
        mapping_file=_mapping(places, args),
        participant_labels=tuple(args.participant_label) if args.participant_label else None,
    )
    if settings.manual.face_masks:
        raise UsageError(
            "A region drawn by hand lies on the grid of a NIfTI image, which DICOM has not; "
            "convert to BIDS first, or leave --face-masks out."
        )
    labels = {
        subject.label: tuple(session.session for session in subject.sessions)
        for subject in dicom.subjects
    }
    return Checked(dicom=dicom, hand=read_by_hand(settings, labels))


def _attached(dataset: DatasetPlan, hand: ByHand, args: argparse.Namespace) -> DatasetPlan:
    return attach(dataset, hand, whole=args.bids_filter_file is None)


def _index(root: Path, args: argparse.Namespace, settings: Settings) -> DatasetPlan:
    from anonymi_bids.bids.index import index_dataset

    return index_dataset(
        root,
        participant_labels=args.participant_label,
        session_labels=args.session_label,
        bids_filter=_read_filter(args.bids_filter_file),
        seed=settings.seed,
        settings=settings,
    )


def _read_filter(path: str | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError("The --bids-filter-file is not readable JSON; correct it.") from error
    if not isinstance(content, dict):
        raise SettingsError("The --bids-filter-file must hold a JSON object; correct it.")
    return content


def _mapping(places: Places, args: argparse.Namespace) -> Path | None:
    """Give the mapping file of the command line, else the one an earlier run left."""
    if args.mapping:
        if not Path(args.mapping).is_file():
            raise SettingsError("The --mapping file does not exist; check its path.")
        return Path(args.mapping)
    earlier = places.private / "mapping.tsv"
    return earlier if earlier.is_file() else None


def make_plan(
    checked: Checked, places: Places, settings: Settings, args: argparse.Namespace, scratch: Path
) -> Plan:
    """Plan the participant level; DICOM is converted into `scratch` for it.

    Raises
    ------
    InputError, ToolError, SpaceError
    """
    from anonymi_bids.bids.needles import needles_from_sidecar

    build = None
    needles: dict[str, set[str]] = {}
    fates: tuple[FileFate, ...] = ()
    if checked.dicom is not None:
        from anonymi_bids.dicom.build import build_bids

        build = build_bids(
            places.input,
            scratch / "bids",
            seed=settings.seed,
            mapping_file=_mapping(places, args),
            min_confidence=settings.convert.min_confidence,
            participant_labels=tuple(args.participant_label) if args.participant_label else None,
            nprocs=args.nprocs,
        )
        _add_to_mapping(build, _mapping(places, args), places.private / "mapping.tsv")
        fates = build.fates
        needles = {label: set(found) for label, found in build.needles.items()}
        dataset = _index_converted(scratch / "bids", build, args, settings)
    else:
        dataset = _index(places.input, args, settings)
    dataset = _attached(dataset, checked.hand, args)
    for session in dataset.sessions:
        found = needles.setdefault(session.subject, set())
        kept = (session.subject, f"sub-{session.subject}")
        for image in session.images:
            found.update(needles_from_sidecar(image.sidecar, kept=kept))
        if session.subject != session.source_subject:
            found.add(f"sub-{session.source_subject}")
    return Plan(
        dataset, {label: tuple(sorted(found)) for label, found in needles.items()}, fates, build
    )


def _add_to_mapping(build: DicomBuild, honoured: Path | None, target: Path) -> None:
    """Add this run's decisions; runs at the same time may add theirs, so look again after it."""
    from anonymi_bids.dicom.mapping import read_mapping, write_mapping

    earlier = {} if honoured is None else read_mapping(honoured)
    own = {row.fingerprint for row in build.decisions}
    for _ in range(20):
        known = read_mapping(target) if target.is_file() else {}
        write_mapping(target, build.decisions, earlier | known)
        if own <= read_mapping(target).keys():
            return


def _index_converted(
    root: Path, build: DicomBuild, args: argparse.Namespace, settings: Settings
) -> DatasetPlan:
    """Index what was made of DICOM; it holds the chosen participants only, already renamed."""
    from anonymi_bids.bids.plan import DatasetPlan

    if all(row.decision == "withhold" for row in build.decisions):
        return DatasetPlan(root, (), ())
    chosen = argparse.Namespace(**{**vars(args), "participant_label": None})
    kept = merge(settings, {"convert": {"pseudonyms": False}})
    return _index(root, chosen, kept)


def show_plan(checked: Checked, settings: Settings) -> None:
    """Print the plan of a dry run: files, method, and what will be withheld and why."""
    say(f"Policy {settings.policy}, method {settings.deface.method}; nothing is written.")
    if checked.dicom is not None:
        _show_dicom(checked.dicom)
    if checked.dataset is not None:
        _show_dataset(checked.dataset, settings)
    say("Headers, names and gates may still withhold more; each with a reason.")


def _show_dicom(plan: DicomPlan) -> None:
    for entry in plan.series:
        if entry.convert and not entry.decision.withheld:
            what = f"{entry.decision.datatype}/{entry.decision.suffix}: convert, deface, check"
        elif entry.convert:
            what = f"convert, then decide ({entry.decision.reason})"
        else:
            what = f"withheld: {entry.decision.reason}"
        session = f" ses-{entry.session}" if entry.session else ""
        n_files = len(entry.series.files)
        say(f"sub-{entry.subject}{session} {entry.fingerprint} ({n_files} files) → {what}")
    for reason, count in sorted(Counter(entry.reason for entry in plan.skipped).items()):
        say(f"{count} files → withheld: {reason}")


def _show_dataset(dataset: DatasetPlan, settings: Settings) -> None:
    for session in dataset.sessions:
        for line in say_by_hand(session):
            say(line)
        for image in session.images:
            say(
                f"{image.entities.path} → {settings.deface.method}, clean metadata, check, release"
            )
        for fate in session.other_files:
            _show_fate(fate)
    for fate in dataset.files:
        _show_fate(fate)


def _show_fate(fate: FileFate) -> None:
    say(f"{fate.path} → {fate.fate}{': ' if fate.reason else ''}{fate.reason}")
