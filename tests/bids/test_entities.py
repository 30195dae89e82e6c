from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.bids.entities import (
    defacemask_entities,
    looks_like_date,
    name_fault,
    parse_path,
    split_extension,
)
from anonymi_bids.model import Entities

LEGAL = [
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/ses-1/anat/sub-01_ses-1_acq-x_run-1_T1w.nii",
    "sub-01/func/sub-01_task-rest_run-01_echo-2_bold.nii.gz",
    "sub-01/func/sub-01_task-rest_sbref.nii.gz",
    "sub-01/dwi/sub-01_dir-AP_dwi.bvec",
    "sub-01/fmap/sub-01_dir-AP_epi.nii.gz",
    "sub-01/perf/sub-01_aslcontext.tsv",
    "sub-01/pet/sub-01_trc-FDG_pet.nii.gz",
    "sub-01/func/sub-01_task-rest_events.tsv",
]


@pytest.mark.parametrize("path", LEGAL)
def test_legal_names_come_apart_and_together_again(path: str) -> None:
    entities = parse_path(path)
    assert entities is not None
    assert entities.path == path
    assert name_fault(entities) == ""


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("sub-01/anat/sub-01_ct.nii.gz", "suffix"),
        ("sub-01/anat/sub-01_t1w.nii.gz", "suffix"),
        ("sub-01/anat/sub-01_T1w.NII.GZ", "suffix"),
        ("sub-01/anat/sub-01_run-1_acq-x_T1w.nii.gz", "order"),
        ("sub-01/anat/sub-01_dir-AP_T1w.nii.gz", "combination"),
        ("sub-01/func/sub-01_bold.nii.gz", "combination"),
        ("sub-01/anat/sub-01_run-one_T1w.nii.gz", "whole number"),
        ("sub-01/anat/sub-01_part-whole_T1w.nii.gz", "part"),
        ("sub-01/eeg/sub-01_task-rest_eeg.edf", "datatype"),
        ("sub-01/sub-01_T1w.nii.gz", "datatype"),
    ],
)
def test_other_names_are_told_what_is_wrong(path: str, word: str) -> None:
    entities = parse_path(path)
    assert entities is not None
    assert word in name_fault(entities)
    assert "sub-01" not in name_fault(entities)


@pytest.mark.parametrize(
    "path",
    [
        "sub-01/anat/sub-02_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-01/anat/T1w.nii.gz",
        "sub-01/anat/sub-01_acq-a_acq-b_T1w.nii.gz",
        "sub-01/anat/deep/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w copy.nii.gz",
        "../sub-01/anat/sub-01_T1w.nii.gz",
    ],
)
def test_names_that_contradict_their_folder_are_none(path: str) -> None:
    assert parse_path(path) is None


labels = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)


@given(labels, st.none() | labels, labels, st.integers(1, 99))
def test_every_t1w_that_is_named_is_read_back(
    subject: str, session: str | None, acquisition: str, run: int
) -> None:
    others = (("acq", acquisition), ("run", str(run)))
    entities = Entities(subject, session, "anat", "T1w", ".nii.gz", others)
    assert parse_path(entities.path) == entities
    assert name_fault(entities) == ""


def test_masks_have_a_place_where_bids_has_one() -> None:
    def mask_of(path: str) -> str | None:
        entities = parse_path(path)
        assert entities is not None
        mask = defacemask_entities(entities)
        return None if mask is None else mask.path

    assert mask_of("sub-1/ses-2/anat/sub-1_ses-2_acq-a_run-2_T2w.nii") == (
        "sub-1/ses-2/anat/sub-1_ses-2_acq-a_run-2_mod-T2w_defacemask.nii.gz"
    )
    assert mask_of("sub-1/anat/sub-1_inv-1_MP2RAGE.nii.gz") is None
    assert mask_of("sub-1/anat/sub-1_echo-2_MEGRE.nii.gz") is None
    assert mask_of("sub-1/func/sub-1_task-rest_bold.nii.gz") is None
    assert mask_of("sub-1/anat/sub-1_mod-T1w_defacemask.nii.gz") is None


@pytest.mark.parametrize("text", ["20240131", "x2024-01-31", "31.01.2024", "01_31_1999"])
def test_dates_are_seen(text: str) -> None:
    assert looks_like_date(text)


@pytest.mark.parametrize("text", ["20241345", "1234", "mprage", "120240131", "run01"])
def test_other_texts_are_no_dates(text: str) -> None:
    assert not looks_like_date(text)


def test_extension_begins_at_the_first_dot() -> None:
    assert split_extension("a.nii.gz") == ("a", ".nii.gz")
    assert split_extension(".bidsignore") == (".bidsignore", "")
    assert split_extension("README") == ("README", "")
