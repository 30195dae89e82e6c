"""All attacks by a recogniser of faces, and a sentence for each that could not be run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from anonymi_bids.audit.photos import attack_photos, list_photos
from anonymi_bids.audit.recognised import attack_recogniser, gather_looks
from anonymi_bids.audit.recogniser import load_recogniser
from anonymi_bids.audit.trials import Items, Outcome
from anonymi_bids.settings import Settings

NO_PHOTOS = (
    "Photographs of the participants searched in the release (--photos does this), and "
    "photographs compared by people."
)


def recogniser_attacks(
    items: Items, settings: Settings, new_labels: Mapping[str, str]
) -> tuple[list[Outcome], list[str]]:
    """Search portraits, and photographs if there are any, in the release.

    Parameters
    ----------
    items : dict of list of Item
    settings : Settings
    new_labels : mapping
        Label of the input → label of the release, where labels were replaced.

    Returns
    -------
    outcomes : list of Outcome
    not_run : list of str
        What was not run, and why.
    """
    rng = np.random.default_rng([settings.seed % 2**63, 17])
    photos = settings.audit.photos
    shown = gather_looks(items)
    not_run = [] if photos else [NO_PHOTOS]
    if shown.missing:
        lost = ["Photographs searched in the release: no portraits to compare with."]
        return [], [shown.missing, *not_run, *(lost if photos else [])]
    found = [attack_recogniser(shown, rng)]
    if found[0] is None:
        not_run.insert(
            0,
            "Portraits shown to a recogniser of faces: nobody has a usable face and a second "
            "visit.",
        )
    if photos:
        listed = list_photos(Path(photos), new_labels)
        released = {item.meta.subject for item in shown.items["released"]}
        strangers = {photo.path for photo in listed if photo.subject not in released}
        if strangers:
            not_run.append(
                f"{len(strangers)} of {len(listed)} photographs, of people who are not in the "
                "release under the label that was given."
            )
        by_photo = attack_photos(listed, shown, load_recogniser(settings.audit.recogniser), rng)
        if by_photo is None:
            not_run.append(
                "Photographs searched in the release: on none of a released person was a face "
                "found."
            )
        found.append(by_photo)
        not_run.append("Photographs compared with scans by people.")
    return [outcome for outcome in found if outcome is not None], not_run
