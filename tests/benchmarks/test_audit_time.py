"""What counts as the audit's time, and what its page says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import audit_time
from benchmarks.speed import Cost

AUDIT = {
    "participants": {"images": 4, "attacked": 4},
    "attacks": [
        {
            "title": "Face recognised by its shape",
            "n": 4,
            "hits": 1,
            "interval": [0.01, 0.81],
            "positive_control": {"hits": 4},
        }
    ],
    "verdict": {"result": "inconclusive"},
}


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def run(command: list[str], log: Path) -> Cost:
        report = Path(command[2]) / "report"
        report.mkdir(parents=True)
        (report / "audit.json").write_text(json.dumps(AUDIT))
        return Cost(exit_code=3, wall_s=300.0, cpu_s=500.0, peak_mib=900.0)

    steps = {"extract_features": 120.0, "run_audit": 20.0, "write_report": 10.0, "run_gates": 99.0}
    monkeypatch.setattr(audit_time, "program", lambda name: name)
    monkeypatch.setattr(audit_time, "run", run)
    monkeypatch.setattr(audit_time, "steps_of", lambda _: steps)
    return audit_time.audited(
        tmp_path / "study", tmp_path / "quick", "quick", argparse.Namespace(nprocs=2)
    )


def test_features_run_beside_each_other_and_the_group_waits(figures: dict[str, Any]) -> None:
    assert figures["group_s"] == 30.0
    assert figures["audit_min"] == pytest.approx((120 / 2 + 30) / 60)


def test_the_page_names_people_and_rates(figures: dict[str, Any]) -> None:
    whole = {"n": 4, "visits": 1, "spacing_mm": 2.0, "nprocs": 2, "levels": {"quick": figures}}
    text = audit_time.page(whole)
    assert "| quick | 3 | 1.5 | 120 | 30 | 5.0 | 900 | 4 people, 4 images | 1 |" in text
    assert "| quick | Face recognised by its shape | 4 | 4 | 1 [0.01, 0.81] |" in text


def test_a_run_that_failed_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], log: Path) -> Cost:
        log.write_text("reason")
        return Cost(exit_code=2, wall_s=1.0, cpu_s=1.0, peak_mib=1.0)

    monkeypatch.setattr(audit_time, "program", lambda name: name)
    monkeypatch.setattr(audit_time, "run", run)
    with pytest.raises(SystemExit, match="reason"):
        audit_time.audited(tmp_path, tmp_path / "full", "full", argparse.Namespace(nprocs=1))
