from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.bids.tables import (
    clean_age,
    clean_aslcontext,
    clean_events,
    clean_gradients,
    clean_row,
    clean_scans,
    clean_sessions,
    participant,
)
from anonymi_bids.errors import ImageError
from anonymi_bids.io.tsv import Table, format_tsv, read_tsv
from anonymi_bids.settings import MetadataSettings

SETTINGS = MetadataSettings()


def table(text: str, tmp_path: Path) -> Table:
    path = tmp_path / "table.tsv"
    path.write_text(text.replace(" ", "\t").replace("~", " "), encoding="utf-8")
    return read_tsv(path)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("45", "45"),
        ("45.9", "45"),
        ("045Y", "45"),
        ("89", "89"),
        ("90", "89"),
        ("101", "89"),
        ("89+", "89"),
        ("018M", "1"),
        ("0.5", "0"),
        ("300D", "0"),
        ("0", "0"),
        ("1931-01-02", "n/a"),
        ("19310102", "n/a"),
        ("old", "n/a"),
        ("", "n/a"),
        ("-3", "n/a"),
        ("n/a", "n/a"),
    ],
)
def test_age_is_whole_years_and_capped(text: str, age: str) -> None:
    assert clean_age(text, 89) == age


@given(st.text(max_size=12))
def test_no_text_gets_through_as_an_age(text: str) -> None:
    age = clean_age(text, 89)
    assert age == "n/a" or 0 <= int(age) <= 89


def test_participant_keeps_plain_columns_only(tmp_path: Path) -> None:
    found = participant(
        table(
            "participant_id age sex handedness group dob name score\n"
            "sub-1 93.5 female right patient 1931-01-02 Jane~Doe 3\n"
            "sub-2 44 M n/a control 1980-01-02 John~Roe 4\n",
            tmp_path,
        ),
        "1",
        SETTINGS,
    )
    assert dict(found.row) == {"age": "89", "sex": "F", "handedness": "R", "group": "patient"}
    assert set(found.withheld) == {"dob", "name", "score"}
    assert set(found.needles) == {"1931-01-02", "Jane Doe"}


@pytest.mark.parametrize(
    "values",
    [
        ["likes chess", "control"],
        ["2024-01-02", "2023-01-02"],
        ["P20240102", "control"],
        ["MRN12345", "MRN12346"],
        ["12345678", "12345679"],
        [f"word{n}" for n in range(30)],
    ],
)
def test_allowed_column_that_is_not_plain_is_withheld(values: list[str]) -> None:
    rows = [{"participant_id": f"sub-{n}", "group": value} for n, value in enumerate(values)]
    for row in rows:
        found = clean_row(row, SETTINGS, rows)
        assert "group" in found.withheld
        assert not found.row


def test_unknown_participant_has_an_empty_row(tmp_path: Path) -> None:
    found = participant(table("participant_id age\nsub-1 40\n", tmp_path), "2", SETTINGS)
    assert not found.row


SCANS = (
    "filename acq_time operator comment\n"
    "anat/a.nii.gz 2024-01-31T10:11:12 Jane x\n"
    "anat/b.nii.gz 2024-01-31T10:41:59.25 Jane x\n"
    "anat/c.nii.gz 2024-02-01T00:00:30 Jane x\n"
    "anat/d.nii.gz n/a Jane x\n"
)


def test_scans_lose_dates_times_and_people(tmp_path: Path) -> None:
    names = {f"anat/{n}.nii.gz": f"anat/{n}{n}.nii.gz" for n in "abcd"}
    released = {"anat/aa.nii.gz", "anat/bb.nii.gz", "anat/cc.nii.gz", "anat/dd.nii.gz"}
    text = clean_scans(table(SCANS, tmp_path), names, released, -50000)
    assert text is not None
    lines = [line.split("\t") for line in text.splitlines()]
    day = (datetime.date(2024, 1, 31) - datetime.timedelta(days=50000)).isoformat()
    assert lines == [
        ["filename", "acq_time"],
        ["anat/aa.nii.gz", f"{day}T00:00:00"],
        ["anat/bb.nii.gz", f"{day}T00:30:00"],
        ["anat/cc.nii.gz", f"{day}T13:49:00"],
        ["anat/dd.nii.gz", "n/a"],
    ]


def test_scans_list_released_files_only(tmp_path: Path) -> None:
    names = {"anat/a.nii.gz": "anat/a.nii.gz", "anat/d.nii.gz": "anat/d.nii.gz"}
    text = clean_scans(table(SCANS, tmp_path), names, {"anat/d.nii.gz"}, -50000)
    assert text == "filename\nanat/d.nii.gz\n"
    assert clean_scans(table(SCANS, tmp_path), names, set(), -50000) is None
    with pytest.raises(ImageError, match="filename"):
        clean_scans(table("a b\n1 2\n", tmp_path), {}, set(), 0)


def test_sessions_keep_the_days_between_them(tmp_path: Path) -> None:
    found = clean_sessions(
        table(
            "session_id acq_time mood\nses-2 2024-02-10T09:00:00 sad\nses-1 2024-01-31 glad\n"
            "ses-3 2024-03-01 x\n",
            tmp_path,
        ),
        {"1": "1", "2": "2", "3": "3"},
        {"1", "2"},
        -40000,
    )
    assert found is not None
    lines = [line.split("\t") for line in found.splitlines()]
    assert [line[0] for line in lines] == ["session_id", "ses-1", "ses-2"]
    days = [datetime.datetime.fromisoformat(line[1]) for line in lines[1:]]
    assert days[1] - days[0] == datetime.timedelta(days=10)
    assert days[1].year < 1925


@given(st.dates(datetime.date(1950, 1, 1), datetime.date(2060, 1, 1)), st.integers(-60000, -50000))
def test_no_true_date_survives(day: datetime.date, offset: int) -> None:
    rows = ({"filename": "a", "acq_time": f"{day.isoformat()}T10:11:12"},)
    text = clean_scans(Table(("filename", "acq_time"), rows), {"a": "a"}, {"a"}, offset)
    assert text is not None
    assert day.isoformat() not in text
    assert "10:11" not in text


def test_events_keep_times_and_plain_words(tmp_path: Path) -> None:
    text = clean_events(
        table(
            "duration onset trial_type response_time stim_file answer HED\n"
            "1 0.5 go n/a faces/jane.png I~am~Jane x\n"
            "1 2.5 stop 0.3 faces/joe.png x y\n",
            tmp_path,
        )
    )
    assert text == (
        "onset\tduration\ttrial_type\tresponse_time\n0.5\t1\tgo\tn/a\n2.5\t1\tstop\t0.3\n"
    )


@pytest.mark.parametrize("word", ["my~name", "20240131", "id-12345", "jané", "x" * 40])
def test_events_lose_a_column_of_other_words(tmp_path: Path, word: str) -> None:
    text = clean_events(table(f"onset duration trial_type\n0 1 go\n1 1 {word}\n", tmp_path))
    assert "trial_type" not in text


@pytest.mark.parametrize("text", ["onset\n1\n", "onset duration\nearly 1\n", "a b\n1 2\n"])
def test_events_without_times_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImageError):
        clean_events(table(text, tmp_path))


def test_asl_context_has_one_column_of_known_terms(tmp_path: Path) -> None:
    good = table("volume_type who\ncontrol Jane\nlabel Joe\n", tmp_path)
    assert clean_aslcontext(good) == "volume_type\ncontrol\nlabel\n"
    with pytest.raises(ImageError, match="type"):
        clean_aslcontext(table("volume_type\njane\n", tmp_path))


def test_gradients_are_numbers_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("0  1000.0\t1e3\n")
    assert clean_gradients(path, 1) == "0 1000.0 1e3\n"
    path.write_text("0\n1000\n1000\n")
    assert clean_gradients(path, 1) == "0 1000 1000\n"
    path.write_text("0 1\n0 0\n0 0\n\n")
    assert clean_gradients(path, 3) == "0 1\n0 0\n0 0\n"
    for wrong in ("0 1 # Jane\n", "0 1\n0\n0 0\n", "", "nan\n", "0 20240131\n", "\x00"):
        path.write_text(wrong)
        with pytest.raises(ImageError):
            clean_gradients(path, 1 if wrong.count("\n") < 2 else 3)


def test_table_that_is_ragged_is_not_read(tmp_path: Path) -> None:
    for text in ("a b\n1 2 3\n", "a b\n1\n", "a a\n1 2\n", "", "\n\n"):
        with pytest.raises(ImageError):
            table(text, tmp_path)
    path = tmp_path / "latin.tsv"
    path.write_bytes(b"a\tb\n\xe9\t1\n")
    with pytest.raises(ImageError, match="UTF-8"):
        read_tsv(path)


@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.text(max_size=8)), max_size=4))
def test_tables_are_written_as_they_are_read(rows: list[dict[str, str]]) -> None:
    text = format_tsv(("id", "a", "b"), [{"id": str(n), **row} for n, row in enumerate(rows)])
    lines = text.splitlines()
    assert len(lines) == len(rows) + 1
    assert all(line.count("\t") == 2 for line in lines)
