"""The report says what the audit found, to people who are no experts, and nothing else."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from anonymi_bids.audit import judge
from anonymi_bids.audit.rates import rate
from anonymi_bids.report import figures, wording
from anonymi_bids.report.pages import render_page, write_report

SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"


class Text(HTMLParser):
    """What a reader sees, and what a browser would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.outside: list[str] = []
        self.tags: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._hidden += tag in ("style", "script")
        self.outside += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        self.outside += [k for k, _ in attrs if k.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.seen))


def test_audit_follows_the_schema(audit: dict[str, Any], tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    write_report(audit, tmp_path)
    written = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)
    for damage in ("attacks", "verdict", "seed"):
        broken = {key: value for key, value in written.items() if key != damage}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema, cls=jsonschema.Draft202012Validator)
    written["attacks"][0]["who"] = "sub-001"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)


def test_empty_audit_follows_the_schema(tmp_path: Path) -> None:
    from anonymi_bids.audit.attacks import run_audit
    from anonymi_bids.settings import AuditSettings, Settings

    settings = Settings(audit=AuditSettings(audit="none"))
    empty = run_audit(tmp_path, settings=settings, released=[], withheld={})
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(empty, schema, cls=jsonschema.Draft202012Validator)
    words = Text(render_page(empty)).words
    assert "It cannot be decided" in words
    assert "nothing is known about the risk" in words


def test_the_page_tells_where_a_person_had_a_hand(tmp_path: Path) -> None:
    from anonymi_bids.audit.attacks import run_audit
    from anonymi_bids.settings import AuditSettings, Settings

    settings = Settings(audit=AuditSettings(audit="none"))
    image = {"subject": "01", "session": "", "suffix": "T1w", "method": "mask"}
    released = [{**image, "by_hand": given} for given in (["landmarks"], ["region"], [])]
    content = run_audit(tmp_path, settings=settings, released=released, withheld={})
    assert content["methods"]["guided_by_a_person"] == 2
    assert "In 2 released images the head was placed" in Text(render_page(content)).words
    content["methods"]["guided_by_a_person"] = 0
    assert "the head was placed" not in Text(render_page(content)).words


def test_one_file_that_fetches_and_runs_nothing(
    audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    page = Text(render_page(audit, charts))
    assert not [place for place in page.outside if not place.startswith("#")]
    assert not {"iframe", "img", "link", "object", "form"} & set(page.tags)
    assert page.tags.count("svg") >= 6


def test_only_our_script_may_run(audit: dict[str, Any], charts: dict[str, Any]) -> None:
    page = render_page(audit, charts)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert f"script-src 'sha256-{digest}';" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert not re.search(r"fetch|XMLHttp|import\(|https?:|eval|innerHTML", scripts[0])


def test_markup_from_the_input_is_text(audit: dict[str, Any]) -> None:
    page = render_page(audit)
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(" in page
    audit["recipient"] = audit["verdict"]["recipient"] = "<b>x</b>"
    audit["attacks"][0]["contrast"] = audit["attacks"][0]["title"] = "<img src=x onerror=1>"
    marked = Text(render_page(audit))
    assert "img" not in marked.tags
    assert not marked.outside


@pytest.mark.parametrize("which", ["audit", "passed_audit"])
def test_wording(which: str, request: pytest.FixtureRequest, charts: dict[str, Any]) -> None:
    content = request.getfixturevalue(which)
    # The one "safe" is the name of an option of DICOM.
    page = Text(render_page(content, charts)).words.replace("Retain Safe Private", "")
    assert not re.search(r"anonymous|anonymis|anonymiz|\bsafe\b", page, re.I)
    # The only percentages are levels of confidence; everything else is a number of 100 people.
    assert set(re.findall(r"[\d.]+\s*%", page)) <= {"95 %", "95\u00a0%"}
    for needed in (
        "lower bound",
        "98 of 100",
        "59 of 100",
        "What was not tested",
        "expires 24 months after",
        "by guessing",
        "names shuffled",
        "Of 100 people like these",
    ):
        assert needed in page
    assert not re.search(r"\b(19|20)\d\d-\d\d|(?<!\d)\d\d:\d\d(?!\d)", page)


def test_verdict_stands_first(
    audit: dict[str, Any], passed_audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    for content, result in ((audit, audit["verdict"]["result"]), (passed_audit, "meets")):
        content["verdict"]["result"] = result
        words = Text(render_page(content, charts)).words
        place = words.index(wording.HEADLINES[result])
        assert place < 250
        assert place < words.index("Of 100 people")


def test_no_hit_is_fewer_than(passed_audit: dict[str, Any], charts: dict[str, Any]) -> None:
    words = Text(render_page(passed_audit, charts)).words
    assert "for fewer than 4.9, among 60 to choose from" in words
    assert "0 of 60 found" in words


def test_numbers_stand_on_one_line(audit: dict[str, Any], charts: dict[str, Any]) -> None:
    face = audit["attacks"][0]
    line = next(
        part
        for part in re.findall(r"<p class=\"small\">(.*?)</p>", render_page(audit, charts), re.S)
        if "untouched originals" in part
    )
    for part in (
        f"{face['hits']} of {face['n']} found",
        f"by guessing {wording.per_hundred(face['chance'])} of 100",
        f"{face['positive_control']['hits']} of {face['positive_control']['n']}",
        f"it is {wording.per_hundred(face['upper95'])}",
    ):
        assert part in re.sub(r"\s+", " ", line)


def test_withheld_is_listed(audit: dict[str, Any], charts: dict[str, Any]) -> None:
    words = Text(render_page(audit, charts)).words
    assert "3 images withheld" in words
    assert "The head was not found with enough confidence. 2" in words


def test_same_bytes(audit: dict[str, Any], tmp_path: Path) -> None:
    first = write_report(audit, tmp_path / "a")
    second = write_report(audit, tmp_path / "b")
    assert [path.name for path in first] == [path.name for path in second]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_charts_show_the_numbers(audit: dict[str, Any]) -> None:
    rates = figures.rates_chart(audit["attacks"])
    assert rates.startswith("<svg")
    assert rates.count("Face recognised by its shape") >= 1
    # Each attack's row shows its own two rates and no other's.
    assert rates.count('aria-roledescription="circle"') == 2 * len(audit["attacks"])
    face = audit["attacks"][0]
    assert figures.gallery_chart(face).startswith("<svg")
    assert figures.scores_chart(face).startswith("<svg")
    assert figures.rates_chart([]) == ""
    assert figures.errors_chart(face).count("<title>after: ") >= 10
    assert figures.errors_chart({"curves": dict.fromkeys(("before", "after"), {"det": []})}) == ""
    few = face | {"n": 2}
    assert figures.gallery_chart(few) == figures.cmc_chart(few) == ""


def test_small_words() -> None:
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"], "or") == "a, b or c"
    assert wording.p_value(0.0005) == "p\u00a0<\u00a00.001"
    assert wording.p_value(0.25) == "p\u00a0=\u00a00.250"
    entry = {"n": 250, "hits": 1, "chance": 1 / 250, "positive_control": {"n": 250, "hits": 250}}
    assert wording.icon_total(entry) == 100
    # One person found among 250 is not rounded away.
    assert wording.icon_count(entry, "") == 1
    assert wording.icon_count(entry, "positive_control") == 100
    assert wording.icon_count(entry, "chance") == 0


def test_first_page_speaks_to_each_class_of_recipients(
    audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    words = Text(render_page(audit, charts)).words
    first = words[: words.index("In plain words")]
    for row in audit["verdict"]["recipients"]:
        assert row["who"] in first
    assert [row["limit"] for row in audit["verdict"]["recipients"]] == [0.09, 0.2, 0.333333]
    for needed in (
        "about 40 people in 100",
        "doi:10.1016/j.neuroimage.2025.121476",
        "WP 216",
        "Singling out",
        "Linking",
        "Inferring",
        "What cannot be concluded",
        "Valid until",
        "Any of these attacks",
    ):
        assert needed in first


def test_failed_control_is_red_and_gives_no_all_clear(
    audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    face = audit["attacks"][0]
    face["positive_control"].update(judge.control_entry(rate(2, 14), 0.5))
    page = render_page(audit, charts)
    alarm = re.search(r'<div class="alarm bad">(.*?)</div>', page, re.S)
    assert alarm is not None
    assert "found 2 of 14" in alarm[1]
    assert "no all-clear" in alarm[1]
    assert 'class="result bad">2 of 14, failed' in page
    for entry in audit["attacks"]:
        entry["positive_control"]["status"] = "passed"
    assert '<div class="alarm' not in render_page(audit, charts)


def test_too_few_people_are_no_failed_control(
    audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    few = judge.control_entry(rate(6, 6), 0.8)
    assert (few["status"], few["passed"], few["people_needed"]) == ("too few", False, 17)
    assert judge.control_entry(rate(17, 17), 0.8)["status"] == "passed"
    assert judge.control_entry(rate(5, 6), 0.8)["status"] == "failed"
    assert judge.control_entry(rate(0, 0), 0.8)["status"] == "failed"
    for entry in audit["attacks"]:
        entry["positive_control"].update(judge.control_entry(rate(14, 14), 0.5))
    audit["attacks"][-1]["positive_control"].update(few)
    page = render_page(audit, charts)
    alarm = re.search(r'<div class="alarm open">(.*?)</div>', page, re.S)
    assert alarm is not None
    assert "Too few people" in alarm[1]
    assert "found all 6" in alarm[1]
    assert "17 people or more" in alarm[1]
    assert "no all-clear" in alarm[1]
    assert 'class="result open">6 of 6, too few' in page
    assert "Control failed" not in page
    assert "6 of 6, failed" not in page
    # Fifty nobody of whom is found are enough for the limit, but six clear nothing.
    judged = judge.face_result(rate(0, 50), rate(6, 6), limit=0.09, control_limit=0.8)
    assert judged == judge.CANNOT_TELL
    said = judge.face_reason(judged, rate(0, 50), rate(6, 6), 0.09, 0.8)
    assert "at least 17 people" in said


def test_five_people_cannot_show_a_small_risk() -> None:
    from anonymi_bids.audit.open_ends import cannot_conclude, people_needed

    entry = {"title": "X", "threshold": 0.09, "n": 5, "hits": 0}
    entry |= {"positive_control": {"status": "failed"}, "second_visits": {"real": 0}}
    said = " ".join(cannot_conclude([entry]))
    for needed in ("among 5", "45 of 100", "32 people", "simulated", "too small", "more than 5"):
        assert needed in said
    assert people_needed([entry]) == 32
    assert people_needed([entry | {"hits": 5}]) == 115
    assert people_needed([]) is None
    assert len(cannot_conclude([])) == 1


def test_what_is_left_in_the_release_fails_it(tmp_path: Path) -> None:
    from anonymi_bids.audit.attacks import run_audit
    from anonymi_bids.settings import Settings

    release = tmp_path / "release"
    release.mkdir()
    (release / "participants.tsv").write_text("participant_id\tnote\nsub-1\ta.b@c.org\n")
    found = run_audit(
        tmp_path / "none", settings=Settings(), released=[], withheld={}, release=release
    )
    assert found["verdict"]["result"] == "does not meet"
    assert {row["result"] for row in found["verdict"]["recipients"]} == {"does not meet"}
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    words = Text(render_page(found)).words
    assert "looks like an identifier" in words
    assert "c.org" not in words


def test_all_eighteen_identifiers_are_answered(audit: dict[str, Any]) -> None:
    from anonymi_bids.report.checklists import hipaa

    rows = hipaa(audit)
    assert "".join(row[0] for row in rows) == "ABCDEFGHIJKLMNOPQR"
    assert {row[2] for row in rows[:15]} == {"not looked for"}
    places = [
        {"place": f"{name} x", "checked": 3, "found": 0} for name in ("texts", "names", "sidecar")
    ]
    clean = {row[0]: row[2] for row in hipaa(audit | {"traces": places})}
    assert clean["A"] == "not found"
    assert clean["D"] == "kept out"
    assert clean["P"] == clean["R"] == "stays"
    places[0]["found"] = 1
    left = {row[0]: row[2] for row in hipaa(audit | {"traces": places})}
    assert {left[letter] for letter in "ABCDEFGHIJKLMNO"} == {"FOUND"}


def test_table_risk_is_at_most_where_the_population_is_unknown(audit: dict[str, Any]) -> None:
    from anonymi_bids.report.summary import table_risk

    rows = table_risk(audit["metadata"])
    assert [row[1].startswith("at most") for row in rows] == [False, True, False]
    audit["metadata"]["risk"]["population_known"] = True
    assert "at most" not in str(table_risk(audit["metadata"]))
    assert table_risk(audit["metadata"] | {"risk": None}) == []


def test_marks_of_charts_say_their_values(audit: dict[str, Any]) -> None:
    face = audit["attacks"][0]
    drawn = figures.cmc_chart(face)
    share = wording.per_hundred(face["curves"]["after"]["cmc"][2])
    said = re.findall(r"<title>(after: [^<]*)</title>", drawn)
    assert any(words.startswith(f"after: {share} of 100 among the first 3") for words in said)
    models = re.findall(r"<title>(before, a model[^<]*)</title>", figures.gallery_chart(face))
    assert len({words.split("(")[1].split(")")[0] for words in models}) == 2
    face["curves"]["after"]["beyond"] = face["curves"]["before"]["beyond"] = []
    assert "a model" not in figures.gallery_chart(face)


def test_statistics_stand_on_the_page(audit: dict[str, Any], charts: dict[str, Any]) -> None:
    words = Text(render_page(audit, charts)).words
    for needed in (
        "Mean of 1 / rank",
        "Area under the ROC curve",
        "McNemar\u2019s exact test",
        "Found above every stranger",
        "TPIR",
        "Likelihood ratio",
        "How many people a claim needs",
        "People needed 32 51 68 84 100 115",
        "Wilson",
        "at most ten times as far",
    ):
        assert needed in words
    found = audit["attacks"][0]["statistics"]
    assert found["paired"]["only_before"] >= 9
    assert [row["false_alarms_allowed"] for row in found["open_set"]] == [0.0]
    assert found["named_pair"]["likelihood_ratio"] <= audit["attacks"][0]["n"]


def test_small_groups_show_no_single_scores(audit: dict[str, Any], charts: dict[str, Any]) -> None:
    for entry in audit["attacks"]:
        for stage in ("before", "after"):
            entry["curves"][stage] |= {"det": [], "beyond": []}
            entry["curves"][stage]["histogram"]["same"] = []
        entry["statistics"] |= {"named_pair": None, "bootstrap": None, "open_set": []}
        entry["statistics"]["paired"] = None
    words = Text(render_page(audit, charts)).words
    assert "of fewer they would show single people" in words
    assert "nothing is said about larger groups" in words


def test_cohort_stands_beside_the_local_numbers(
    audit: dict[str, Any], charts: dict[str, Any]
) -> None:
    cohort = audit["reference"]
    assert {entry["method"] for entry in cohort["attacks"]} == {"mask"}
    assert cohort["people"] == max(entry["n"] for entry in cohort["attacks"])
    words = Text(render_page(audit, charts)).words
    assert "Digital people: skin drawn from a statistical model" in words
    assert f"At most {cohort['people']} of them" in words
    assert "nothing here decides the verdict" in words
    for entry in cohort["attacks"]:
        assert f"{entry['hits']} of {entry['n']} (" in words
    without = copy.deepcopy(audit) | {"reference": None}
    assert "No reference cohort is shipped" in Text(render_page(without, charts)).words


def test_checklists_answer_for_this_run(audit: dict[str, Any]) -> None:
    from anonymi_bids.report import standards

    iso = {row[0]: row for row in standards.iso_27559(audit)}
    codes = {row[0]: row for row in standards.dicom_options(audit)}
    assert list(codes) == [str(code) for code in range(113100, 113113)]
    statuses = {standards.DONE, standards.PARTLY, standards.NOT_HERE, standards.NOT_USED}
    assert {row[2] for row in (*iso.values(), *codes.values())} <= statuses
    assert {iso[clause][2] for clause in ("6.2.2", "6.3", "9.3.2")} == {standards.NOT_HERE}
    face = audit["attacks"][0]
    assert f"{face['hits']} of {face['n']} by the face" in iso["8.2.2"][3]
    # Nothing is called done that this run did not do.
    assert codes["113102"][2] == standards.PARTLY
    assert codes["113100"][2] == standards.PARTLY
    searched = [{"place": "texts", "checked": 9, "found": 0}]
    clean = audit | {"traces": searched, "attacks": [face | {"result": "meets"}]}
    codes = {row[0]: row for row in standards.dicom_options(clean)}
    assert (codes["113100"][2], codes["113102"][2]) == (standards.DONE, standards.DONE)
    none = {row[0]: row for row in standards.iso_27559(audit | {"attacks": []})}
    assert none["8.2.3"][2] == standards.NOT_HERE


def test_cohort_lists_styles_as_methods() -> None:
    from anonymi_bids.audit.reference import reference_entry

    blur = reference_entry(["surface"], "blur")
    assert blur is not None
    assert {entry["method"] for entry in blur["attacks"]} == {"blur"}
    assert all("blur" in row["methods"] for row in blur["compared"])
    assert reference_entry(["something else"], "blur") is None
