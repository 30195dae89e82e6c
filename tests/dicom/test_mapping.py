"""The mapping file is honoured, kept and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anonymi_bids.dicom.mapping import COLUMNS, MappingRow, read_mapping, write_mapping
from anonymi_bids.errors import InputError

ROW = MappingRow(
    fingerprint="abc",
    subject="s",
    decision="anat/T1w",
    entities="run-1",
    confidence="0.90",
    proposed="anat/T1w run-1",
)


def round_trip(tmp_path: Path, *rows: MappingRow) -> dict[str, MappingRow]:
    write_mapping(tmp_path / "m.tsv", rows, {})
    return {key: row for key, (row, _) in read_mapping(tmp_path / "m.tsv").items()}


@pytest.mark.parametrize(
    ("row", "honoured"),
    [
        (ROW, False),
        (replace(ROW, locked="yes"), True),
        (replace(ROW, decision="withhold", entities=""), True),
        (replace(ROW, entities="run-2"), True),
        (replace(ROW, decision="withhold", entities="", proposed="withhold"), False),
    ],
)
def test_locked_and_edited_lines_are_honoured(
    tmp_path: Path, row: MappingRow, honoured: bool
) -> None:
    assert round_trip(tmp_path, row)["abc"].is_honoured is honoured


def test_a_table_of_two_columns_is_enough(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("fingerprint\tdecision\nabc\tanat/T2w\n")
    row, line = read_mapping(tmp_path / "m.tsv")["abc"]
    assert row.is_honoured
    assert line == 2


def test_lines_of_other_inputs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.tsv"
    write_mapping(path, [ROW, replace(ROW, fingerprint="old", locked="yes")], {})
    write_mapping(path, [replace(ROW, decision="withhold")], read_mapping(path))
    rows = read_mapping(path)
    assert rows["old"][0].is_locked
    assert rows["abc"][0].decision == "withhold"


def test_text_of_headers_cannot_break_the_table_or_run_in_a_spreadsheet(tmp_path: Path) -> None:
    nasty = '=HYPERLINK("x")\tA\nB\u2028C"'
    back = round_trip(tmp_path, replace(ROW, description=nasty), replace(ROW, fingerprint="z"))
    assert set(back) == {"abc", "z"}
    assert back["abc"].description.startswith("'=")
    assert len((tmp_path / "m.tsv").read_text().split("\n")) == 4


@pytest.mark.parametrize(
    "line",
    [
        "abc\tanat/T9w\tn/a\tyes",
        "abc\t../../etc\tn/a\tyes",
        "abc\tanat/T1w\trun-../x\tyes",
        "abc\tanat/T1w\tsub-01\tyes",
        "abc\tanat/T1w\trun-1_run-2\tyes",
        "abc\tanat/T1w\tn/a\tmaybe",
        "abc\tanat/T1w\tn/a\tyes\nabc\tanat/T1w\tn/a\tyes",
    ],
)
def test_lines_that_are_not_valid_stop_the_run_with_their_number(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "m.tsv").write_text(f"fingerprint\tdecision\tentities\tlocked\n{line}\n")
    with pytest.raises(InputError, match=r"Line [23] of the mapping file"):
        read_mapping(tmp_path / "m.tsv")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a\tb\n1\t2\n", b""])
def test_what_is_no_mapping_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tsv").write_bytes(content)
    with pytest.raises(InputError):
        read_mapping(tmp_path / "m.tsv")


def test_columns_are_those_of_the_documents() -> None:
    assert COLUMNS[:2] == ("fingerprint", "subject")
    assert {"decision", "entities", "reason", "confidence", "locked"} <= set(COLUMNS)
