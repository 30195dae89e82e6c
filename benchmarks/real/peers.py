"""Figures of other tools on the same scans, measured beforehand by this project; quoted, not run.

Each cell is one run on one scan (2026-11-21, Python 3.11, CPU). quickshear 1.2.0 ran as released,
with brain masks of deepbet. deepdefacer 2.1.2 ran after four shims for current libraries; its
algorithm and weights were untouched. pydeface 2.1.0 and caideface 0.4.0 need programs that are
not on PyPI or Debian; *stand-ins* use their template and masks with antspyx as registration, so
no failure of a stand-in may be charged to these tools. Brain: voxels of deepbet AND HD-BET that
changed beyond 0.2 % of the intensity range. Skin: front skin columns left bitwise to 3 mm.
"""

from __future__ import annotations

TOOLS = ("quickshear", "deepdefacer (shimmed)", "pydeface stand-in", "caideface stand-in")

BRAIN_CHANGED_MM3: dict[str, tuple[float | None, ...]] = {
    "5_mocoMEMPRAGE": (0, 0, 0, 0),
    "5_SAG_MPRAGE": (0, 0, 4577, 0),
    "1301_ADNI": (0, 0, 0, 0),
    "5_anat-T1w": (0, 0, 0, 0),
    "HFS/": (0, 128448, 0, 0),
    "HFDL/": (0, 82788, 0, None),
    "6_AX_FSE_T2": (0, 11075, 0, None),
    "ses-1_FLAIR": (0, 135580, 45270, 0),
}
"""By original. Which of two like scans was measured is not recorded for XA30 and the FLAIR."""

SKIN_LEFT_PERCENT: dict[str, tuple[float | None, ...]] = {
    "5_mocoMEMPRAGE": (50, 38, 18, 29),
    "5_SAG_MPRAGE": (38, 21, 9, 48),
    "1301_ADNI": (15, 24, 19, 12),
    "5_anat-T1w": (15, 14, 24, 17),
    "HFS/": (13, 58, 15, 13),
    "HFDL/": (15, 92, 19, None),
    "6_AX_FSE_T2": (97, 2, 18, None),
    "ses-1_FLAIR": (87, 100, 1, 55),
}
