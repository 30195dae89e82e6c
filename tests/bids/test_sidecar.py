from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anonymi_bids.bids.physics import ALLOWED
from anonymi_bids.bids.rules import DROP
from anonymi_bids.bids.sidecar import ALLOWED_KEYS, LANDMARKS, clean_sidecar
from anonymi_bids.bids.validity import missing_fields
from anonymi_bids.model import Entities

T1W = Entities("01", None, "anat", "T1w", ".nii.gz")
BOLD = Entities("01", "1", "func", "bold", ".nii.gz", (("task", "rest"),))
EPI = Entities("01", "1", "fmap", "epi", ".nii.gz", (("dir", "AP"),))

DCM2NIIX = {
    "Modality": "MR",
    "MagneticFieldStrength": 3,
    "ImagingFrequency": 123.25,
    "Manufacturer": "Siemens Healthineers",
    "ManufacturersModelName": "Prisma_fit",
    "InstitutionName": "Secret Hospital",
    "InstitutionAddress": "Street 1, Town",
    "DeviceSerialNumber": "166006",
    "StationName": "AWP166006",
    "BodyPartExamined": "BRAIN",
    "PatientPosition": "HFS",
    "PatientName": "DOE^JANE",
    "PatientID": "0815",
    "PatientBirthDate": "1970-01-02",
    "AcquisitionTime": "10:11:12.3456",
    "ProcedureStepDescription": "Doe head",
    "SoftwareVersions": "syngo MR E11",
    "MRAcquisitionType": "3D",
    "SeriesDescription": "t1_mprage_doe",
    "ProtocolName": "t1_mprage_doe",
    "ScanningSequence": "GR\\IR",
    "SequenceVariant": "SK\\SP\\MP",
    "ScanOptions": "IR",
    "SequenceName": "*tfl3d1_16ns",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM", "DOE"],
    "SeriesNumber": 4,
    "ImageComments": "Jane Doe, pregnant",
    "SliceThickness": 1,
    "EchoTime": 0.00226,
    "RepetitionTime": 2.3,
    "InversionTime": 0.9,
    "FlipAngle": 8,
    "ShimSetting": [1, 2, 3],
    "ReceiveCoilName": "HeadNeck_64",
    "ReceiveCoilActiveElements": "HC1-7;NC1",
    "ImageOrientationPatientDICOM": [0, 1, 0, 0, 0, -1],
    "ConversionSoftware": "dcm2niix",
    "ConversionSoftwareVersion": "v1.0.20250506",
    "ConsistencyInfo": "N4_VE11C",
    "WipMemBlock": "12345678-aaaa",
}


def test_physics_stays_and_the_person_goes() -> None:
    cleaned = clean_sidecar(DCM2NIIX, entities=T1W, seed=1)
    for key in ("EchoTime", "RepetitionTime", "FlipAngle", "SequenceName", "ReceiveCoilName"):
        assert cleaned[key] == DCM2NIIX[key]
    assert cleaned["Manufacturer"] == "Siemens"
    assert cleaned["ImageType"] == ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    text = json.dumps(cleaned).casefold()
    for word in ("doe", "jane", "secret", "street", "166006", "0815", "1970", "10:11", "pregnant"):
        assert word not in text


def test_serial_number_is_one_pseudonym_for_one_device() -> None:
    def serial(number: str, seed: int) -> str:
        return clean_sidecar({"DeviceSerialNumber": number}, entities=T1W, seed=seed)[
            "DeviceSerialNumber"
        ]

    assert serial("166006", 1) == serial(" 166006", 1)
    assert serial("166006", 1) != serial("166006", 2)
    assert serial("166006", 1) != serial("166007", 1)


def test_what_was_done_is_stated_in_codes() -> None:
    before = {
        "DeidentificationMethod": ["by Dr Doe"],
        "DeidentificationMethodCodeSequence": [
            {"CodeValue": "113101", "CodeMeaning": "Doe", "CodingSchemeDesignator": "DCM"},
            {"CodeValue": "113106", "CodeMeaning": "dates kept"},
            {"CodeValue": ["x"]},
        ],
    }
    cleaned = clean_sidecar(before, entities=T1W, seed=1, done="surface")
    codes = [item["CodeValue"] for item in cleaned["DeidentificationMethodCodeSequence"]]
    assert codes == ["113100", "113101", "113102", "113105"]
    assert "Doe" not in json.dumps(cleaned)
    assert any("surface" in text for text in cleaned["DeidentificationMethod"])
    passed = clean_sidecar({}, entities=BOLD, seed=1, done="metadata only")
    codes = [item["CodeValue"] for item in passed["DeidentificationMethodCodeSequence"]]
    assert "113102" not in codes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EchoTime", 20240131),
        ("EchoTime", "0.003"),
        ("EchoTime", True),
        ("EchoTime", float("nan")),
        ("SliceTiming", [0.1, "Doe"]),
        ("SliceTiming", []),
        ("PhaseEncodingDirection", "Doe"),
        ("ManufacturersModelName", "Prisma of Dr Doe"),
        ("ManufacturersModelName", "MRC35042"),
        ("ManufacturersModelName", "166006"),
        ("ManufacturersModelName", "166 006"),
        ("ReceiveCoilName", "166006"),
        ("SoftwareVersions", "AB12345"),
        ("SequenceName", "doe_seq"),
        ("SoftwareVersions", "installed by Doe"),
        ("ReceiveCoilName", "Doe"),
        ("TracerName", "Doe"),
        ("Manufacturer", "Doe Ltd"),
        ("ScanningSequence", "DOE"),
        ("ImageType", "DOE"),
        ("MatrixCoilMode", ["SENSE", "Doe"]),
    ],
)
def test_values_of_another_form_are_dropped(key: str, value: Any) -> None:
    assert key not in clean_sidecar({key: value}, entities=T1W, seed=1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ManufacturersModelName", name)
        for name in (
            "Prisma_fit TrioTim Skyra Verio Achieva Avanto_fit Vida mMR Biograph_mMR Ambition_X"
        ).split()
        + ["Ingenia Elition X", "SIGNA Premier", "DISCOVERY MR750", "MAGNETOM Vida", "Signa HDxt"]
    ]
    + [("SoftwareVersions", version) for version in ("syngo MR E11", "5.7.1", "syngo MR XA30")]
    + [("Units", unit) for unit in ("rad", "Hz", "Bq/mL", "rad/s", "arbitrary", "kBq/cc")]
    + [("MolarActivityUnits", "GBq/umol"), ("TracerMolecularWeightUnits", "g/mol")]
    + [("SequenceName", name) for name in ("*tfl3d1_16ns", "epfid2d1_64", "*spc_282ns", "ep_b0")],
)
def test_names_of_ordinary_scanners_stay(key: str, value: str) -> None:
    assert clean_sidecar({key: value}, entities=T1W, seed=1)[key] == value


def test_task_is_kept_if_it_is_the_one_of_the_name() -> None:
    def task(name: Any) -> str:
        return clean_sidecar({"TaskName": name}, entities=BOLD, seed=1)["TaskName"]

    assert task("re st") == "re st"
    assert task("Jane's rest") == "rest"
    assert task(None) == "rest"
    assert "TaskName" not in clean_sidecar({"TaskName": "rest"}, entities=T1W, seed=1)


def test_links_between_images_stay_links() -> None:
    sidecar = {
        "B0FieldIdentifier": "pepolar0",
        "B0FieldSource": ["doe 1970", "pepolar0"],
        "IntendedFor": [
            "ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz",
            "bids::sub-01/anat/sub-01_T1w.nii.gz",
            "bids::sub-02/anat/sub-02_T1w.nii.gz",
            "/home/doe/x.nii.gz",
            7,
        ],
    }
    cleaned = clean_sidecar(sidecar, entities=EPI, seed=1)
    assert cleaned["IntendedFor"] == sidecar["IntendedFor"][:2]
    assert cleaned["B0FieldIdentifier"] == "pepolar0"
    hidden = clean_sidecar({"B0FieldIdentifier": "doe 1970"}, entities=EPI, seed=1)
    assert cleaned["B0FieldSource"] == [hidden["B0FieldIdentifier"], "pepolar0"]
    assert "doe" not in hidden["B0FieldIdentifier"]


def test_intended_for_follows_new_labels() -> None:
    renames = {"sub-Doe/anat/sub-Doe_T1w.nii.gz": "sub-x/anat/sub-x_T1w.nii.gz"}
    entities = Entities("x", None, "fmap", "epi", ".nii.gz", (("dir", "AP"),))
    sidecar = {"IntendedFor": "bids::sub-Doe/anat/sub-Doe_T1w.nii.gz"}
    cleaned = clean_sidecar(sidecar, entities=entities, seed=1, rename=renames.get)
    assert cleaned["IntendedFor"] == "bids::sub-x/anat/sub-x_T1w.nii.gz"
    assert "IntendedFor" not in clean_sidecar(sidecar, entities=entities, seed=1)


def test_contradictions_lose_the_optional_field() -> None:
    sidecar = {"RepetitionTime": 2.0, "SliceTiming": [0.0, 3.0], "VolumeTiming": [0, 2]}
    cleaned = clean_sidecar(sidecar, entities=BOLD, seed=1)
    assert cleaned["RepetitionTime"] == 2.0
    assert not {"SliceTiming", "VolumeTiming"} & set(cleaned)


def test_missing_fields_are_named() -> None:
    assert missing_fields({"TaskName": "rest"}, BOLD) == ("RepetitionTime or VolumeTiming",)
    assert missing_fields({"TaskName": "rest", "VolumeTiming": [1]}, BOLD) == ()
    assert missing_fields({}, T1W) == ()
    echo = Entities("1", None, "anat", "MEGRE", ".nii.gz", (("echo", "1"),))
    assert missing_fields({}, echo) == ("EchoTime",)
    asl = Entities("1", None, "perf", "asl", ".nii.gz")
    assert "LabelingDuration" in missing_fields({"ArterialSpinLabelingType": "PCASL"}, asl)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["3D", "j-", "GRAPPA", "GR\\IR", "n/a", "FDG", "Siemens", "SE_EP"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.sampled_from(sorted(ALLOWED_KEYS)) | st.text(max_size=12)
ADDED = {"DeidentificationMethod", "DeidentificationMethodCodeSequence", "TaskName"}


@given(st.dictionaries(keys, values, max_size=12), st.sampled_from([T1W, BOLD, EPI]))
def test_cleaning_adds_no_foreign_key_and_changes_no_type(
    sidecar: dict[str, Any], entities: Entities
) -> None:
    cleaned = clean_sidecar(sidecar, entities=entities, seed=5)
    assert set(cleaned) <= ALLOWED_KEYS
    assert set(cleaned) <= set(sidecar) | ADDED
    for key in set(cleaned) - ADDED:
        assert type(cleaned[key]) is type(sidecar[key])
    again = clean_sidecar(cleaned, entities=entities, seed=5)
    changing = {"DeviceSerialNumber", "B0FieldIdentifier", "B0FieldSource", "MultipartID"}
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in cleaned.items() if k not in changing
    }
    json.dumps(cleaned, allow_nan=False)


@given(st.from_regex(r"[A-Z]{0,2}[0-9]{6,12}", fullmatch=True))
@example("MR000000")
def test_no_rule_lets_a_record_number_pass(text: str) -> None:
    for key, rule in ALLOWED.items():
        kept = rule(text)
        # A rule may take the letters for a word it knows (MR-based); no digit may pass.
        word = isinstance(kept, str) and not any(sign.isdigit() for sign in kept)
        assert word or kept in (DROP, "00:00:00"), key


@given(st.text(min_size=1, max_size=30))
def test_no_rule_lets_free_text_pass(text: str) -> None:
    name = f"Jane {text} Doe"
    for key, rule in ALLOWED.items():
        kept = rule(name)
        assert kept is DROP or "Doe" not in str(kept), key


def test_landmarks_are_written_only_if_given_and_never_taken_over() -> None:
    own = {"NAS": [1, 2, 3], "Scar of J. Doe": [4, 5, 6]}
    sidecar = {"EchoTime": 0.003, LANDMARKS: own}
    assert LANDMARKS not in clean_sidecar(sidecar, entities=T1W, seed=1)
    found = {name: [10.5, 20.25, 30.0] for name in ("NAS", "LPA", "RPA")}
    cleaned = clean_sidecar(sidecar, entities=T1W, seed=1, landmarks=found)
    assert cleaned[LANDMARKS] == found
