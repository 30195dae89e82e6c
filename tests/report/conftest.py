"""An audit with made-up numbers that could have come out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from anonymi_bids.audit import judge
from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.report.pages import draw_charts
from anonymi_bids.settings import Settings

PATIENT = "<script>alert('Mustermann')</script>"


@pytest.fixture(scope="session")
def made_audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(2)
    shared = 4 * rng.normal(size=(3, 8, 10))
    for i in range(14):
        brain, face = rng.normal(size=90), shared + 3 * rng.normal(size=(3, 8, 10))
        for session, kind in (("1", "original"), ("2", "original"), ("1", "released")):
            row = (brain + 0.3 * rng.normal(size=90)).astype(np.float16)
            seen = shared if kind == "released" else face
            content = dict.fromkeys(("brain", "brain_high", "brain_edges"), row)
            content["air"] = rng.normal(size=40).astype(np.float16)
            content["depth"] = (60 + seen + rng.normal(size=shared.shape)).astype(np.float16)
            content["head"] = content["depth"]
            content["skin_gap"] = np.array([14], dtype=np.float16)
            stem = f"sub-{i:03d}_ses-{session}_T1w"
            save_features(folder, FeatureMeta(f"{i:03d}", session, "T1w", kind, stem), content)
    return run_audit(
        folder,
        settings=Settings(),
        released=[
            {"subject": f"{i:03d}", "session": "1", "suffix": "T1w", "method": "mask"}
            for i in range(14)
        ],
        withheld={"The head was not found with enough confidence.": 2, PATIENT: 1},
        participants=[{"participant_id": f"sub-{i}", "age": str(30 + i // 4)} for i in range(14)],
    )


@pytest.fixture(scope="session")
def charts(made_audit: dict[str, Any]) -> dict[str, Any]:
    """Charts of the made-up audit, for tests that change words only."""
    return draw_charts(made_audit)


@pytest.fixture
def audit(made_audit: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made_audit)


@pytest.fixture
def passed_audit(audit: dict[str, Any]) -> dict[str, Any]:
    """The same, as if nobody of 60 had been found."""
    from anonymi_bids.audit.rates import rate

    face = audit["attacks"][0]
    face.update(judge.rate_entry(rate(0, 60)) | {"chance": 1 / 60, "result": "meets"})
    face["positive_control"].update(judge.control_entry(rate(60, 60), 0.5))
    audit["verdict"]["result"] = "meets"
    return audit
