"""The training: losses know what they do not know, scans are random but repeatable."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from anonymi_bids.head import network  # noqa: E402
from anonymi_bids.head.training import losses, paint, randomise, subjects  # noqa: E402
from anonymi_bids.head.training.draw import Draw, smooth_field  # noqa: E402
from anonymi_bids.head.training.export import unweighed  # noqa: E402
from anonymi_bids.head.training.loop import Recipe, train  # noqa: E402
from anonymi_bids.head.training.net import HeadNet, gather, spread  # noqa: E402

SHAPE = (32, 48, 32)
CPU = torch.device("cpu")


def a_subject(name: str = "head-a", *, signal: bool = False) -> subjects.Subject:
    """A ball of soft tissue with a ball of brain in it, and a face of sorts."""
    shape = (60, 70, 60)
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = (-45, -52, -45)
    mm = np.moveaxis(np.indices(shape), 0, -1) * 1.5 + affine[:3, 3]
    radius = np.linalg.norm(mm, axis=-1)
    tissue = np.where(radius < 25, 1, np.where(radius < 38, 5, 0)).astype(np.uint8)
    regions = ((tissue == 5) & (mm[..., 1] > 15)).astype(np.uint8)
    regions |= ((tissue == 5) & (mm[..., 0] < -28)).astype(np.uint8) * 2
    points = np.full((7, 3), np.nan)
    points[0], points[1], points[2] = (0, 37, 10), (-37, 0, 0), (37, 0, 0)
    place = np.eye(4)
    place[:3, 3] = -np.array(network.CENTRE_ATLAS_MM)
    return subjects.Subject(
        name,
        name,
        tissue,
        regions,
        affine,
        place,
        points,
        subjects.allowed_classes(),
        tissue.astype(np.float32) if signal else None,
    )


def test_channels_and_voxels_are_exchanged_without_loss() -> None:
    scan = torch.randn(1, 1, 8, 12, 16)
    assert torch.equal(spread(gather(scan)), scan)
    many = torch.randn(1, 24, 4, 6, 8)
    assert spread(many).shape == (1, 3, 8, 12, 16)


def test_the_network_answers_on_its_grids() -> None:
    net = HeadNet(4, 2)
    fine, coarse = net(torch.zeros(1, 1, 16, 24, 32))
    assert fine.shape == (1, 10, 16, 24, 32)
    assert coarse.shape == (1, 10, 8, 12, 16)


def test_any_allowed_class_is_right_and_no_other() -> None:
    allowed = torch.full((4, 4, 4), 0b000110, dtype=torch.uint8)
    allowed[0] = 0b000001
    logits = torch.full((7, 4, 4, 4), -20.0)
    logits[0, 0] = 20.0
    split = logits.clone()
    split[1, 1:] = split[2, 1:] = 20.0
    assert losses.class_loss(torch.log_softmax(split, 0), allowed) < 1e-4
    one = logits.clone()
    one[2, 1:] = 20.0
    assert losses.class_loss(torch.log_softmax(one, 0), allowed) < 1e-4
    wrong = logits.clone()
    wrong[3, 1:] = 20.0
    assert losses.class_loss(torch.log_softmax(wrong, 0), allowed) > 10


def test_dice_ignores_voxels_of_unknown_class() -> None:
    allowed = torch.full((6, 6, 6), 1, dtype=torch.uint8)
    allowed[:3] = 0b10
    allowed[3] = 0b110
    logits = torch.full((7, 6, 6, 6), -20.0)
    logits[1, :3] = logits[2, 3] = logits[0, 4:] = 20.0
    good = losses.class_dice(torch.log_softmax(logits, 0), allowed)
    logits[1, 3] = 40.0
    same = losses.class_dice(torch.log_softmax(logits, 0), allowed)
    assert good == pytest.approx(float(same), abs=1e-4)
    assert good < 0.01


def test_a_map_without_skull_allows_bone_in_soft_tissue() -> None:
    table = subjects.allowed_classes({5: ("soft", "bone")})
    assert table[5] == (1 << 5) | (1 << 3)
    assert table[1] == 1 << 1
    assert subjects.allowed_classes()[5] == 1 << 5


@pytest.mark.parametrize("signal", [False, True])
def test_the_same_seed_draws_the_same_scan(signal: bool) -> None:
    subject = randomise.load(a_subject(signal=signal), CPU)
    one = randomise.random_scan(subject, Draw(3, CPU), SHAPE)
    two = randomise.random_scan(subject, Draw(3, CPU), SHAPE)
    other = randomise.random_scan(subject, Draw(4, CPU), SHAPE)
    assert torch.equal(one.scan, two.scan)
    assert torch.equal(one.allowed, two.allowed)
    assert not torch.equal(one.scan, other.scan)


def test_truth_and_scan_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Landmarks lie on the skin, coordinates fit the affine, in every undisturbed draw."""

    def nothing(image: Any, scene: Any, draw: Any) -> Any:
        return image, scene, torch.ones(image.shape, dtype=torch.bool)

    monkeypatch.setattr(randomise.faults, "disturb", nothing)
    subject = randomise.load(a_subject(), CPU)
    shape = (64, 64, 64)
    for seed in range(8):
        sample = randomise.random_scan(subject, Draw(seed, CPU), shape)
        head = sample.allowed > 1
        for number in torch.where(sample.present)[0].tolist():
            fine = (sample.landmarks[number] * 2 + 0.5).round().long()
            low = (fine - 3).clamp_min(0)
            block = head[low[0] : fine[0] + 4, low[1] : fine[1] + 4, low[2] : fine[2] + 4]
            assert block.any(), "a landmark lies off the skin"
            assert not block.all(), "a landmark lies inside"
        left = sample.regions[1] > 0
        right = sample.regions[2] > 0
        x = sample.coordinates[0].repeat_interleave(2, 0).repeat_interleave(2, 1)
        x = x.repeat_interleave(2, 2)
        assert not right.any() or float(x[right].mean()) > 0
        assert not left.any() or float(x[left].mean()) < 0


def test_both_scalings_agree() -> None:
    rng = np.random.default_rng(2)
    scan = rng.gamma(2.0, 30.0, (20, 24, 28)).astype(np.float32)
    view = np.ones(scan.shape, bool)
    view[:4] = False
    ours = network.normalise(scan, view)
    theirs = paint.normalised(torch.from_numpy(scan), torch.from_numpy(view)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_smooth_fields_are_smooth_and_spread() -> None:
    field = smooth_field(Draw(0, CPU), (1, 40, 40, 40), 10.0)[0]
    assert 0.4 < float(field.std()) < 1.6
    assert float((field[1:] - field[:-1]).abs().mean()) < 0.3


def test_a_stopped_training_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    people = [a_subject("head-a"), a_subject("person-b"), a_subject("scan-c", signal=True)]
    recipe = Recipe(steps=4, width=4, depth=2, shape=SHAPE)
    whole = torch.load(train(people, tmp_path / "whole", recipe), weights_only=True)
    train(people, tmp_path / "parts", recipe, stop_after_s=0.0)
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 1
    parts = torch.load(train(people, tmp_path / "parts", recipe), weights_only=True)
    assert parts["step"] == whole["step"] == 4
    for name, value in whole["mean"].items():
        torch.testing.assert_close(parts["mean"][name], value, rtol=1e-3, atol=1e-5)
    lines = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 4]


def test_what_ships_says_probabilities_not_weighted_ones() -> None:
    torch.manual_seed(0)
    net, plain = HeadNet(4, 2), HeadNet(4, 2)
    plain.load_state_dict(unweighed(net.state_dict()))
    scan = torch.randn(1, 1, *SHAPE)
    n = len(network.CLASSES)
    with torch.no_grad():
        told, said = net(scan)[0][0], plain(scan)[0][0]
    expected = torch.softmax(told[:n], 0) / torch.tensor(losses.CLASS_WEIGHTS).view(-1, 1, 1, 1)
    torch.testing.assert_close(torch.softmax(said[:n], 0), expected / expected.sum(0))
    torch.testing.assert_close(said[n:], told[n:])


def test_subjects_are_kept_as_they_are(tmp_path: Path) -> None:
    subject = a_subject("scan-x", signal=True)
    again = subjects.load_subject(subjects.save_subject(tmp_path, subject))
    np.testing.assert_array_equal(again.tissue, subject.tissue)
    np.testing.assert_array_equal(again.landmarks, subject.landmarks)
    assert again.person == subject.person
    assert again.signal is not None


def test_bright_scans_do_not_overflow(tmp_path: Path) -> None:
    subject = a_subject("scan-x", signal=True)
    assert subject.signal is not None
    bright = dataclasses.replace(subject, signal=subject.signal * 1e6)
    again = subjects.load_subject(subjects.save_subject(tmp_path, bright))
    assert again.signal is not None
    assert np.isfinite(again.signal).all()
    assert np.corrcoef(again.signal.ravel(), subject.signal.ravel())[0, 1] > 0.999
