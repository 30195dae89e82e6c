"""The SLURM recipe, with a scheduler that runs everything at once on the spot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "workflows" / "slurm"

# Stands for sbatch: notes its arguments and runs the script, once for each index of the array.
SBATCH = r"""#!/bin/bash
echo "$*" >> "$FAKE/sbatch.log"
tasks=1; array=0
while [ $# -gt 0 ]; do
  case $1 in
    --array=*) array=1; tasks=${1#--array=1-}; tasks=${tasks%%\%*}; shift ;;
    --*) shift ;;
    *) break ;;
  esac
done
script=$1; shift
number=$(( $(cat "$FAKE/number" 2>/dev/null || echo 100) + 1 )); echo $number > "$FAKE/number"
for index in $(seq 1 "$tasks"); do
  [ $array = 1 ] && export SLURM_ARRAY_TASK_ID=$index
  bash "$script" "$@" >> "$FAKE/job.log" 2>&1
  code=$?
  echo "$(basename "$script") $index $code" >> "$FAKE/ended.log"
done
echo "$number;cluster"
"""

# Stands for anonymi-bids: notes its arguments; a file codes/LABEL gives another exit code than 0.
COMMAND = r"""#!/bin/bash
echo "$*" >> "$FAKE/command.log"
label=$(echo "$*" | sed -n 's/.*--participant-label \([^ ]*\).*/\1/p')
[ -n "$label" ] && [ -e "$FAKE/codes/$label" ] && exit "$(cat "$FAKE/codes/$label")"
exit 0
"""


@dataclass
class Cluster:
    """A cluster of one, and a dataset for it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "FAKE": str(self.folder),
        }

    def submit(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RECIPE / "submit.sh", self.folder / "in", self.folder / "out", *options],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def log(self, name: str) -> list[str]:
        path = self.folder / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []

    def participants(self) -> list[str]:
        """Labels in the order in which the command got them."""
        return [
            line.split("--participant-label ")[1].split()[0]
            for line in self.log("command")
            if "--participant-label" in line
        ]

    def groups(self) -> list[str]:
        return [line for line in self.log("command") if " group" in line]

    def fail(self, label: str, code: int) -> None:
        (self.folder / "codes").mkdir(exist_ok=True)
        (self.folder / "codes" / label).write_text(str(code))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    for name, text in (("sbatch", SBATCH), ("anonymi-bids", COMMAND)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for label in ("01", "02", "a3"):
        (tmp_path / "in" / f"sub-{label}").mkdir(parents=True)
    return Cluster(tmp_path)


def test_each_participant_runs_once_and_the_group_after_them(cluster: Cluster) -> None:
    done = cluster.submit("--seed", "5")
    assert done.returncode == 0, done.stderr
    assert cluster.participants() == ["01", "02", "a3"]
    assert cluster.log("command")[-1].endswith("out group --seed 5")
    assert all("--seed 5" in line for line in cluster.log("command"))
    assert "--array=1-3%50" in cluster.log("sbatch")[0]
    assert "--dependency=afterany:101 " in cluster.log("sbatch")[1]


def test_what_is_done_is_left_out_the_next_time(cluster: Cluster) -> None:
    cluster.submit()
    cluster.submit()
    assert cluster.participants() == ["01", "02", "a3"]
    assert len(cluster.groups()) == 2
    assert "--dependency" not in cluster.log("sbatch")[-1]


def test_withheld_images_are_a_result_and_failures_are_tried_again(cluster: Cluster) -> None:
    cluster.fail("01", 3)
    cluster.fail("02", 5)
    cluster.submit()
    assert not cluster.groups()
    assert "sub-02: exit code 5" in cluster.log("job")[-2]
    assert "group.sbatch 1 1" in cluster.log("ended")
    assert "participant.sbatch 2 5" in cluster.log("ended")
    (cluster.folder / "codes" / "02").unlink()
    cluster.submit()
    assert cluster.participants() == ["01", "02", "a3", "02"]
    assert len(cluster.groups()) == 1


def test_audit_of_a_part_must_be_asked_for(cluster: Cluster) -> None:
    cluster.fail("02", 1)
    cluster.submit(ALLOW_MISSING="1")
    assert len(cluster.groups()) == 1


def test_other_options_are_other_work(cluster: Cluster) -> None:
    cluster.submit("--seed", "1")
    cluster.submit("--seed", "2")
    assert len(cluster.participants()) == 6


def test_long_lists_share_tasks(cluster: Cluster) -> None:
    labels = [f"{number:03d}" for number in range(11)]
    (cluster.folder / "list.txt").write_text("\n".join(f"sub-{label}" for label in labels) + "\n")
    cluster.submit(LABELS=str(cluster.folder / "list.txt"), MAX_TASKS="4")
    assert "--array=1-4%50" in cluster.log("sbatch")[0]
    assert cluster.participants() == labels


def test_the_last_failure_does_not_hide_behind_a_success(cluster: Cluster) -> None:
    cluster.fail("01", 4)
    cluster.submit(MAX_TASKS="1")
    assert cluster.participants() == ["01", "02", "a3"]
    assert "participant.sbatch 1 4" in cluster.log("ended")


@pytest.mark.parametrize("label", ["x y", "../out", "$(id)", "a;b"])
def test_labels_that_are_no_labels_are_refused(cluster: Cluster, label: str) -> None:
    (cluster.folder / "list.txt").write_text(f"01\n{label}\n")
    done = cluster.submit(LABELS=str(cluster.folder / "list.txt"))
    assert done.returncode == 2
    assert label not in done.stderr
    assert not cluster.log("sbatch")


def test_an_empty_dataset_is_said(cluster: Cluster) -> None:
    shutil.rmtree(cluster.folder / "in")
    (cluster.folder / "in").mkdir()
    done = cluster.submit()
    assert done.returncode == 2
    assert "No participants" in done.stderr


def test_options_of_the_site_reach_both_jobs(cluster: Cluster) -> None:
    cluster.submit(SBATCH_ARGS="--account=lab --partition=short")
    assert all("--account=lab --partition=short" in line for line in cluster.log("sbatch"))


def test_a_stopped_task_interrupts_the_command_and_starts_no_other(cluster: Cluster) -> None:
    """SLURM sends TERM to the script; the command must hear of it and end by itself."""
    program = cluster.folder / "bin" / "anonymi-bids"
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n"
        "open(os.environ['FAKE'] + '/command.log', 'a').write(' '.join(sys.argv) + '\\n')\n"
        "time.sleep(30)\n"
    )
    state = cluster.folder / "state"
    for name in ("done", "failed"):
        (state / name).mkdir(parents=True)
    (state / "todo").write_text("01\n02\n")
    task = subprocess.Popen(
        ["bash", RECIPE / "participant.sbatch"],
        env={
            **cluster.environment,
            "ANONYMI_BIDS": "anonymi-bids",
            "ANONYMI_STATE": str(state),
            "ANONYMI_LABELS": str(state / "todo"),
            "ANONYMI_PER_TASK": "2",
            "ANONYMI_INPUT": "in",
            "ANONYMI_OUTPUT": "out",
            "SLURM_ARRAY_TASK_ID": "1",
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not cluster.participants() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        task.send_signal(signal.SIGTERM)
        assert task.wait(timeout=15) == 130
    finally:
        task.kill()
    assert cluster.participants() == ["01"]
    assert (state / "failed" / "01").read_text() == "130\n"
    assert not list((state / "done").iterdir())
