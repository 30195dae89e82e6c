"""Three-shell forward models by MNE-Python, and how far two of them are apart."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.eeg.meshes import Layer, Skull

Floats = npt.NDArray[np.float64]

CONDUCTIVITY = (0.3, 0.006, 0.3)
"""Brain, skull, scalp, S/m: MNE's own defaults."""
SOURCE_STEP_MM = 22.0
SOURCE_DEPTH_MM = 12.0
NAMES = "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2".split()


def quiet() -> None:
    import mne

    mne.set_log_level("ERROR")


def electrodes(scalp: Layer, centre: Floats, fiducials: dict[str, Floats]) -> Floats:
    """Place MNE's template of the 10-20 system by three fiducials, then on the scalp.

    Returns
    -------
    (19, 3) ndarray
        mm from the centre, on the ray from it through the template's place.
    """
    import mne

    from anonymi_bids.core.shape import similarity

    montage = mne.channels.make_standard_montage("standard_1020").get_positions()
    source = np.stack([montage[name] for name in ("nasion", "lpa", "rpa")]) * 1000
    target = np.stack([fiducials[name] for name in ("nasion", "lpa", "rpa")])
    place = similarity(source, target)
    points = np.stack([montage["ch_pos"][name] for name in NAMES]) * 1000
    rays = points @ place[:3, :3].T + place[:3, 3] - centre
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return along(scalp, rays)[:, None] * rays


def along(layer: Layer, rays: Floats) -> Floats:
    """Distance at which rays from the centre pass through a star-shaped mesh, (n,) mm."""
    corners = layer.vertices()[layer.triangles]
    inverse = np.linalg.inv(np.moveaxis(corners, 1, 2))  # columns: the three corners
    found = np.empty(len(rays))
    for i, ray in enumerate(rays):
        weights = inverse @ ray
        inside = weights.min(axis=1)
        best = int(inside.argmax())
        found[i] = 1.0 / weights[best].sum()
    return found


def sources(skull: Skull) -> Floats:
    """Places on a lattice in the brain, well below the inner skull, (n, 3) mm from the centre."""
    reach = np.arange(-6, 7) * SOURCE_STEP_MM
    grid = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid + SOURCE_STEP_MM / 4
    distance = np.linalg.norm(grid, axis=1)
    limit = along(skull.inner, grid / distance[:, None])
    return grid[distance < limit - SOURCE_DEPTH_MM]


def lead_field(skull: Skull, scalp: Layer, places: Floats, points: Floats) -> Floats:
    """EEG of dipoles in three directions at each place, average reference.

    Parameters
    ----------
    places : (s, 3) ndarray
        Sources, mm from the centre.
    points : (e, 3) ndarray
        Electrodes, mm from the centre; MNE puts them on the nearest place of the scalp.

    Returns
    -------
    (e, 3 s) ndarray
    """
    import mne

    with tempfile.TemporaryDirectory(prefix="anonymi-eeg-") as name:
        folder = Path(name) / "sub" / "bem"
        folder.mkdir(parents=True)
        layers = {"inner_skull": skull.inner, "outer_skull": skull.outer, "outer_skin": scalp}
        for what, layer in layers.items():
            mne.write_surface(folder / f"{what}.surf", layer.vertices(), layer.triangles)
        model = mne.make_bem_model("sub", ico=None, conductivity=CONDUCTIVITY, subjects_dir=name)
        bem = mne.make_bem_solution(model)
    normals = np.tile([0.0, 0.0, 1.0], (len(places), 1))
    src = mne.setup_volume_source_space(pos={"rr": places / 1000, "nn": normals}, bem=bem)
    info = mne.create_info(list(NAMES), 1000.0, "eeg")
    montage = mne.channels.make_dig_montage(
        dict(zip(NAMES, points / 1000, strict=True)), coord_frame="head"
    )
    info.set_montage(montage)
    same = mne.transforms.Transform("head", "mri", np.eye(4))
    forward = mne.make_forward_solution(info, same, src, bem, meg=False, eeg=True, mindist=0.0)
    gain = forward["sol"]["data"]
    return gain - gain.mean(axis=0)


def compare(before: Floats, after: Floats) -> dict[str, float]:
    """Relative difference and magnitude over all dipoles (Meijs 1989, doi:10.1109/10.40805).

    RDM is 0 for the same topography and 2 for the opposite one; lnMAG 0 for the same strength.
    """
    sizes = [np.linalg.norm(gain, axis=0) for gain in (before, after)]
    rdm = np.linalg.norm(before / sizes[0] - after / sizes[1], axis=0)
    strength = np.abs(np.log(sizes[1] / sizes[0]))
    return {
        "rdm_median": float(np.median(rdm)),
        "rdm_p95": float(np.percentile(rdm, 95)),
        "rdm_max": float(rdm.max()),
        "lnmag_median": float(np.median(strength)),
        "lnmag_max": float(strength.max()),
    }
