"""Which real scans are run, what they hold, and how they are laid out as INPUT.

The scans lie beside the repository (``../shared/data``, or ``--data``); none of them, and no
picture of them, belongs into the repository.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Original:
    """One image of the input that a human knows.

    Attributes
    ----------
    where : str
        Part of the path, below the archive's folder or of the file, that is found in this image
        alone.
    what : str
        Contrast and kind.
    face : {"whole", "part", "none"}
        How much of a face the field of view shows.
    """

    where: str
    what: str
    face: str


@dataclass(frozen=True)
class Scenario:
    """One run of the command.

    Attributes
    ----------
    name : str
    archives : tuple of str
        DICOM archives that are unpacked into INPUT.
    bids : tuple of (str, str)
        File below the data folder → path in a BIDS dataset.
    originals : tuple of Original
        What is known of its images.
    """

    name: str
    archives: tuple[str, ...] = ()
    bids: tuple[tuple[str, str], ...] = ()
    originals: tuple[Original, ...] = ()


_DICOM = {
    "child_mprage_siemens_skyra": (Original("5_SAG_MPRAGE", "T1w 3-D, child", "whole"),),
    "adult_mprage_t2_siemens_trio": (
        Original("5_mocoMEMPRAGE", "T1w 3-D", "whole"),
        Original("6_AX_FSE_T2", "T2w 2-D 5 mm", "part"),
        Original("17_Perfusion", "perfusion map", "none"),
        Original("18_relCBF", "perfusion map", "none"),
    ),
    "positions_siemens_prisma": (
        Original("HFS/", "T1w 2-D 4.8 mm, on the back", "whole"),
        Original("HFP/", "T1w 2-D 4.8 mm, on the front", "whole"),
        Original("HFDL/", "T1w 2-D 4.8 mm, on the left", "part"),
        Original("HFDR/", "T1w 2-D 4.8 mm, on the right", "part"),
    ),
    "adult_mprage_philips_elition": (Original("1301_ADNI", "T1w 3-D", "whole"),),
    "adult_mprage_enhanced_siemens_prisma_xa30": (
        Original("5_anat-T1w", "T1w 3-D 2 mm, enhanced DICOM", "whole"),
        Original("6_anat-T1w", "T1w 3-D 2 mm, enhanced DICOM", "whole"),
    ),
    "adult_pd_2d_ge_signa": (Original("2_FSE_PD", "PDw 2-D 7 mm", "part"),),
}

_IXI = ("IXI012-HH-1211", "IXI015-HH-1258")


def scenarios(data: Path) -> list[Scenario]:
    """All runs whose scans are at hand."""
    single = [Scenario(name, (name,), originals=known) for name, known in _DICOM.items()]
    together = tuple(one for known in _DICOM.values() for one in known)
    found = [
        *single,
        Scenario("all_at_once", tuple(_DICOM), originals=together),
        _whole_heads(data),
        Scenario(
            "defaced",
            bids=(("defaced/tcia-vsseg-001_T1w.nii.gz", "sub-vsseg/anat/sub-vsseg_T1w.nii.gz"),),
            originals=(Original("vsseg", "T1w 3-D, defaced by its publisher", "none"),),
        ),
        _brains(data),
    ]
    return [scenario for scenario in found if _at_hand(scenario, data)]


def _whole_heads(data: Path) -> Scenario:
    """The patient with two sessions of three contrasts, and two heads more."""
    files, known = [], []
    for path in sorted((data / "nifti").glob("openms-patient12_ses-*.nii.gz")):
        session, suffix = path.name.removesuffix(".nii.gz").split("_")[1:]
        name = f"sub-patient12/{session}/anat/sub-patient12_{session}_{suffix}.nii.gz"
        files.append((f"nifti/{path.name}", name))
        known.append(Original(f"{session}_{suffix}", f"{suffix}, thick slices", "part"))
    for head in _IXI:
        label = "sub-" + head.split("-")[0].lower()
        source = f"brains/{head}_head_2mm_T1W.nii.gz"
        files.append((source, f"{label}/anat/{label}_T1w.nii.gz"))
        known.append(Original(label, "T1w 3-D 2 mm", "whole"))
    return Scenario("openms_and_ixi", bids=tuple(files), originals=tuple(known))


def _brains(data: Path) -> Scenario:
    files = []
    for path in sorted((data / "brains").glob("ms-long-*.nii.gz")):
        person, visit, suffix = path.name.removesuffix(".nii.gz").split("_")
        label, session = "sub-" + person.replace("-", ""), visit.replace("visit", "ses")
        suffix = suffix.replace("W", "w")
        name = f"{label}/{session}/anat/{label}_{session}_{suffix}.nii.gz"
        files.append((f"brains/{path.name}", name))
    known = (Original("mslong", "skull-stripped brains", "none"),)
    return Scenario("skull_stripped", bids=tuple(files), originals=known)


def _at_hand(scenario: Scenario, data: Path) -> bool:
    archives = [data / "dicom" / f"{name}.tar.xz" for name in scenario.archives]
    files = [data / source for source, _ in scenario.bids]
    return bool(archives or files) and all(path.is_file() for path in archives + files)


def lay_out(scenario: Scenario, data: Path, folder: Path) -> dict[str, Path]:
    """Write INPUT of a scenario, and its images as NIfTI, to hold releases against.

    Returns
    -------
    dict
        Name of each image (path of its source) → NIfTI file.
    """
    source, converted = folder / "input", folder / "originals"
    for place in (source, converted):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    images: dict[str, Path] = {}
    for target_of, name in scenario.bids:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / target_of, target)
        images[name] = target
    if scenario.bids:
        text = json.dumps({"Name": "Benchmark", "BIDSVersion": "1.10.0"})
        (source / "dataset_description.json").write_text(text, encoding="utf-8")
    for archive in scenario.archives:
        with tarfile.open(data / "dicom" / f"{archive}.tar.xz") as packed:
            packed.extractall(source, filter="data")
        images.update(_converted(source / archive, converted / archive))
    return images


def _converted(dicom: Path, folder: Path) -> dict[str, Path]:
    """Convert one archive folder by folder with dcm2niix, for comparison only."""
    for number, place in enumerate(_inner_folders(dicom)):
        target = folder / str(number)
        target.mkdir(parents=True)
        command = [str(Path(sys.executable).with_name("dcm2niix")), "-d", "0", "-z", "y"]
        subprocess.run(
            [*command, "-f", "%s_%d", "-o", str(target), str(place)],
            check=False,
            capture_output=True,
            timeout=600,
        )
    return _listed(dicom, folder)


def _listed(dicom: Path, folder: Path) -> dict[str, Path]:
    listed = {
        f"{place.relative_to(dicom.parent).as_posix()}/{path.name}": path
        for number, place in enumerate(_inner_folders(dicom))
        for path in sorted((folder / str(number)).glob("*.nii.gz"))
    }
    for name in [name for name in listed if "_Eq_" in name]:
        filled = _filled(dicom, folder / "filled")
        listed.update({f"{name.split('_Eq_')[0]}_{path.name}": path for path in filled})
    return listed


def _filled(dicom: Path, folder: Path) -> list[Path]:
    """Images as the project converts them: a missing slice is filled, which dcm2niix does not do.

    They are used for series of which dcm2niix gives no evenly spaced image of the acquired slices.
    """
    from anonymi_bids.dicom.build import build_bids

    if not folder.is_dir():
        build_bids(dicom, folder, seed=0)
    return sorted(folder.rglob("*_T1w.nii.gz"))


def _inner_folders(dicom: Path) -> list[Path]:
    return sorted({path.parent for path in dicom.rglob("*") if path.is_file()})


def images_of(scenario: Scenario, folder: Path) -> dict[str, Path]:
    """Images of a scenario that was laid out before."""
    images = {name: folder / "input" / name for _, name in scenario.bids}
    for archive in scenario.archives:
        images.update(_listed(folder / "input" / archive, folder / "originals" / archive))
    return images
