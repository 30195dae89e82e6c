"""Killed at any point and started again, a run gives the release of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.e2e.study import command, describe, digests, put_head, run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    top = tmp_path_factory.mktemp("undisturbed")
    source = describe(top / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", seed=8, EchoTime=0.003)
    result = run(source, top / "out", "participant", "--seed", 9)
    assert result.returncode == 0, result.stdout + result.stderr
    return source, digests(top / "out" / "release")


def kill_when(source, out, sign):
    """Start a run and SIGKILL all its processes once `sign` is true; False if it ended first."""
    process = subprocess.Popen(
        command(source, out, "participant", "--seed", 9),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            if sign():
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_killed_again_and_again_it_ends_in_the_same_bytes(undisturbed, tmp_path):
    source, expected = undisturbed
    out = tmp_path / "out"
    signs = {
        "settings": lambda: (out / "private/settings.toml").exists(),
        "head found": lambda: any(out.glob("work/run-*/graph-*/**/head.json")),
        "waiting for its verdict": lambda: any(out.glob("private/incoming/*/*")),
        "evidence": lambda: any(out.glob("private/evidence/sub-01/**/*.json")),
        "outcome": lambda: any(out.glob("private/images/**/*.json")),
    }
    killed = [name for name, sign in signs.items() if kill_when(source, out, sign)]
    assert {"settings", "head found"} <= set(killed)
    result = run(source, out, "participant", "--seed", 9)
    assert result.returncode == 0, result.stdout + result.stderr
    assert digests(out / "release") == expected
    assert not list(out.rglob(".tmp-*.nii.gz"))


def test_interrupted_it_says_so(undisturbed, tmp_path):
    source, _ = undisturbed
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(source, out, "participant", "--seed", 9),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "private/settings.toml").exists():
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "start the same command again" in said
