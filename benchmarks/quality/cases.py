"""Who is scanned: digital people, and label heads painted the same way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.io.images import read_image
from anonymi_bids.model import Image
from anonymi_bids.phantoms.build import clean_labels, fit_head
from anonymi_bids.phantoms.library import load_model
from anonymi_bids.phantoms.paint import contrast_name, paint_labels
from anonymi_bids.phantoms.records import Phantom
from benchmarks.common import OUT

ATLAS_HEADS = (
    "mghangel001",
    "mghdca",
    "mghhs1",
    "mghhs3",
    "mghhs4a",
    "mghhs6",
    "tciacptac",
)
"""Label heads from which the atlas was made too."""

NEW_HEADS = ("icbmny", "licence-unclear/usc19y")
"""Label heads that the atlas never saw."""

PEOPLE_PER_SEED = 10_000
FIRST = 15
"""Images of people that come before the label heads, so that an early stop has seen both."""


@dataclass(frozen=True)
class Case:
    """One image to be made, de-identified and measured.

    Attributes
    ----------
    kind : {"person", "head"}
    number : int
        Of the person; of the head in the lists above.
    name : str
    contrast : str
    visit : int
    seed : int
        Of the benchmark.
    spacing_mm : float
        Voxel edge of digital people; label heads keep their own 1 mm.
    """

    kind: str
    number: int
    name: str
    contrast: str
    visit: int
    seed: int
    spacing_mm: float

    @property
    def key(self) -> str:
        """Name of the results' files."""
        return f"{self.name}_visit-{self.visit}_{self.contrast}"


def all_cases(n: int, n_heads: int, seed: int, spacing_mm: float) -> list[Case]:
    """Give people and label heads by visit, T1w twice and T2w or FLAIR once each."""
    painted, people = [], []
    heads = (*ATLAS_HEADS, *NEW_HEADS)
    for number, head in enumerate(heads[:n_heads]):
        name = "head-" + head.rsplit("/", 1)[-1]
        for contrast, visit in (("T1w", 1), (("T2w", "FLAIR")[number % 2], 1), ("T1w", 2)):
            painted.append(Case("head", number, name, contrast, visit, seed, 1.0))
    for number in range(n):
        name = f"person-{number:03d}"
        second = ("T2w", "FLAIR")[number % 2]
        for contrast, visit in (("T1w", 1), ("T1w", 2), (second, 3)):
            people.append(Case("person", number, name, contrast, visit, seed, spacing_mm))
    return people[:FIRST] + painted + people[FIRST:]


def make(case: Case, heads: Path) -> Phantom:
    """Make the image of a case, with its truth."""
    if case.kind == "head":
        return painted_head(case, heads)
    from anonymi_bids.phantoms.person import make_person
    from anonymi_bids.phantoms.visit import Protocol, make_visit

    person = make_person(PEOPLE_PER_SEED * case.seed + case.number)
    protocol = Protocol(spacing_mm=case.spacing_mm)
    return make_visit(person, case.contrast, case.visit, protocol=protocol)


def painted_head(case: Case, heads: Path) -> Phantom:
    """Paint a label head, with 12 mm of air around it, tilted in the scanner by up to 8°."""
    head = (*ATLAS_HEADS, *NEW_HEADS)[case.number]
    raw = read_image(heads / f"{head}_dseg.nii.gz")
    labels = Image(clean_labels(np.rint(raw.data).astype(np.uint8)), raw.affine)
    vertices = fitted_vertices(case.name, labels)
    again = [case.visit] if case.visit > 1 else []
    rng = np.random.default_rng([case.seed, case.number, len(case.contrast), *again])
    air = 12
    padded = np.pad(labels.data, ((air, air), (air, air), (0, air)))
    affine = labels.affine.copy()
    affine[:3, 3] = apply_affine(affine, (-air, -air, 0))
    data = paint_labels(padded, case.contrast, rng, affine)
    data *= np.float32(np.exp(rng.normal(0, 0.15)))
    model = load_model()
    phantom = Phantom(
        image=Image(data, affine),
        labels=Image(padded, affine),
        contrast=contrast_name(case.contrast),
        vertices=model.close(vertices),
        triangles=model.closed,
        landmarks68=vertices[model.landmarks68],
        nasion=vertices[model.points["nasion"]],
        lpa=vertices[model.points["lpa"]],
        rpa=vertices[model.points["rpa"]],
        head_to_image=np.eye(4),
        name=case.name,
    )
    return phantom.moved(tilt(rng))


def fitted_vertices(name: str, labels: Image) -> np.ndarray:
    """Fit the shape model to a label head (kept in benchmarks/out), for its landmarks.

    Returns
    -------
    (n, 3) float64 ndarray
        mm of the label head.
    """
    kept = OUT / "heads" / f"{name}.npy"
    if kept.exists():
        return np.load(kept).astype(np.float64)
    fit = fit_head(load_model(), labels)
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{case_digest(name)}.npy")
    np.save(temporary, fit.vertices.astype(np.float32))
    temporary.replace(kept)
    return fit.vertices


def case_digest(name: str) -> str:
    """Suffix for a temporary file of this process."""
    import os

    return f"{name}-{os.getpid()}"


def tilt(rng: np.random.Generator) -> np.ndarray:
    """Pose in the scanner: turned by up to 8° about each axis, shifted by up to 12 mm."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-12, 12, 3)
    return matrix
