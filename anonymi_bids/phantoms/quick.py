"""A coarse scan of a packaged label head in about a second, for tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, resample
from anonymi_bids.model import Image
from anonymi_bids.phantoms.library import HEADS, load_model, load_template
from anonymi_bids.phantoms.paint import add_noise, contrast_name, signals, split_tissues
from anonymi_bids.phantoms.records import Phantom


def quick_head(
    spacing_mm: float = 3.0, contrast: str = "T1w", seed: int = 0, *, head: str = HEADS[0]
) -> Phantom:
    """Paint a packaged label head on a coarse grid (RAS, no bias, mild noise).

    Parameters
    ----------
    spacing_mm : float
        Voxel edge; from 1.
    contrast : str
    seed : int
        Draws noise and fat.
    head : str
        One of `HEADS`.

    Returns
    -------
    Phantom
    """
    template, model = load_template(head), load_model()
    rng = np.random.default_rng(seed)
    parts = 2 if spacing_mm >= 2 else 1
    affine, shape = _with_air(template.labels, spacing_mm)
    fine_affine = affine @ _split(parts)
    fine = resample(
        template.labels.data,
        template.labels.affine,
        fine_affine,
        (shape[0] * parts, shape[1] * parts, shape[2] * parts),
        order=0,
    )
    signal = signals(contrast)[split_tissues(fine, fine_affine, rng)]
    blocks = signal.reshape(shape[0], parts, shape[1], parts, shape[2], parts)
    data = add_noise(blocks.mean(axis=(1, 3, 5), dtype=np.float32), contrast, rng)
    labels = resample(template.labels.data, template.labels.affine, affine, shape, order=0)
    vertices = template.vertices
    return Phantom(
        image=Image(data, affine),
        labels=Image(labels, affine),
        contrast=contrast_name(contrast),
        vertices=model.close(vertices),
        triangles=model.closed,
        landmarks68=vertices[model.landmarks68],
        nasion=vertices[model.points["nasion"]],
        lpa=vertices[model.points["lpa"]],
        rpa=vertices[model.points["rpa"]],
        head_to_image=np.eye(4),
        name=head,
    )


def _with_air(labels: Image, spacing_mm: float) -> tuple[Affine, tuple[int, int, int]]:
    """Grid with about 12 mm of air around the head, none below the neck cut."""
    affine, shape = grid_around(labels.data.shape, labels.affine, spacing_mm)
    margin = int(np.ceil(12 / spacing_mm))
    wide = np.array(affine)
    wide[:3, 3] = apply_affine(affine, (-margin, -margin, 0))
    return wide, (shape[0] + 2 * margin, shape[1] + 2 * margin, shape[2] + margin)


def _split(parts: int) -> npt.NDArray[np.float64]:
    """Voxel indices of a grid split into `parts` per axis → indices of the coarse grid."""
    matrix = np.eye(4)
    matrix[:3, :3] /= parts
    matrix[:3, 3] = (1 / parts - 1) / 2
    return matrix
