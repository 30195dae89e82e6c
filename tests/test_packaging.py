"""What ships is what is listed, with its origin and licence, and it arrives."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from anonymi_bids.settings import Settings, as_dict, merge

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "anonymi_bids" / "data"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MANIFEST = tomllib.loads((DATA / "manifest.toml").read_text(encoding="utf-8"))["files"]
POLICIES = sorted(path.stem for path in (DATA / "policies").glob("*.toml"))

OF_A_RUN = ("photos", "gallery")
"""Paths that belong to one run and to no policy."""
MAX_DATA_BYTES = 40 * 2**20


def data_files() -> set[str]:
    return {
        path.relative_to(DATA).as_posix()
        for path in DATA.rglob("*")
        if path.is_file()
        and path.name != "manifest.toml"
        and not path.name.startswith("LICENSE-")
        and path.suffix not in {".py", ".pyc"}
    }


def test_every_data_file_is_listed_and_every_listed_file_is_there() -> None:
    assert data_files() == set(MANIFEST)


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_data_file_is_the_listed_one_with_origin_and_licence(name: str) -> None:
    entry = MANIFEST[name]
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == entry["sha256"]
    assert len(entry["origin"]) > 10
    assert len(entry["licence"]) > 2
    for text in re.findall(r"LICENSE-[\w-]+\.txt", entry["licence"]):
        assert (DATA / text).is_file()
    assert not re.search(r"unclear|unknown|GPL|-NC|-ND", entry["licence"], re.IGNORECASE)


def test_data_stay_small() -> None:
    assert sum((DATA / name).stat().st_size for name in MANIFEST) < MAX_DATA_BYTES


def test_notice_names_the_sources_that_ship() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8").lower()
    origins = " ".join(f"{e['origin']} {e['licence']}" for e in MANIFEST.values()).lower()
    for source, credit in {
        "ict": "copyright (c) 2020 usc institute for creative technologies",
        "mgh": "phantoms.martinos.org",
        "tcia": "cptac-lscc",
    }.items():
        if source in origins:
            assert credit in notice


@pytest.mark.parametrize("name", POLICIES)
def test_policy_gives_settings_and_says_all_of_them(name: str) -> None:
    changes = tomllib.loads((DATA / "policies" / f"{name}.toml").read_text(encoding="utf-8"))
    settings = merge(Settings(), changes)
    assert settings.policy == name
    plain = as_dict(settings)
    for part in ("deface", "audit", "metadata"):
        said = {name: value for name, value in plain[part].items() if name not in OF_A_RUN}
        assert changes[part] == said, f"[{part}] leaves something to the defaults"


def test_open_sharing_is_the_default() -> None:
    path = DATA / "policies" / "open-sharing.toml"
    changes = tomllib.loads(path.read_text(encoding="utf-8"))
    assert merge(Settings(), changes) == Settings()


def test_open_sharing_is_the_strictest_policy() -> None:
    limits = {
        name: tomllib.loads((DATA / "policies" / f"{name}.toml").read_text(encoding="utf-8"))
        for name in POLICIES
    }
    strict = limits["open-sharing"]
    assert strict["metadata"]["series_4d"] == "deface"
    for changes in limits.values():
        assert strict["audit"]["max_upper95"] <= changes["audit"]["max_upper95"]
        assert "gates" not in changes, "every policy has the same gates"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that the checkout stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "anonymi_bids",
        source / "anonymi_bids",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(source / "dist"), str(source)]
    subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)
    (path,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_contains_all_data_and_templates(wheel: zipfile.ZipFile) -> None:
    packed = set(wheel.namelist())
    missing = {f"anonymi_bids/data/{name}" for name in data_files() | {"manifest.toml"}} - packed
    templates = ROOT / "anonymi_bids" / "report" / "templates"
    missing |= {
        path.relative_to(ROOT).as_posix() for path in templates.rglob("*") if path.is_file()
    } - packed
    assert not missing
    assert "anonymi_bids/py.typed" in packed


def test_wheel_carries_licence_and_notice_and_nothing_foreign(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert {name.split("/")[0] for name in names} == {
        "anonymi_bids",
        f"anonymi_bids-{PROJECT['project']['version']}.dist-info",
    }


def test_console_scripts_point_at_functions_that_exist(wheel: zipfile.ZipFile) -> None:
    for target in PROJECT["project"]["scripts"].values():
        module, function = target.split(":")
        source = wheel.read(module.replace(".", "/") + ".py").decode()
        assert function in {
            node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
        }


def steps(text: str) -> set[str]:
    """Installation steps of a container recipe, without line breaks and file names of copies."""
    joined = re.sub(r"\\\n\s*", " ", text)
    commands = re.findall(r"/opt/\w+/bin/(?:pip|python) [^\n&]+", joined)
    return {
        re.sub(r"\s+", " ", command).replace("/opt/wheels", "/wheels").strip()
        for command in commands
    }


def environment(text: str) -> set[str]:
    return set(re.findall(r"\b([A-Z_]+=[\w./:-]+)", re.sub(r"\$\S+", "", text)))


def test_singularity_recipe_says_the_same_as_the_dockerfile() -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    definition = (ROOT / "singularity" / "anonymi_bids.def").read_text(encoding="utf-8")
    assert len(steps(docker)) >= 4
    assert steps(docker) == steps(definition)
    # HOME is the user's own in Singularity and not set there.
    body = docker.split("ENV ", 1)[1].split("\nUSER", 1)[0]
    assert environment(body) - {"HOME=/tmp"} == environment(
        definition.split("%environment")[1].split("%runscript")[0]
    )
    (base,) = re.findall(r"^ARG BASE=docker\.io/library/(\S+)", docker, re.MULTILINE)
    assert f"From: {base}" in definition


def test_container_copies_exist_and_pass_the_ignore_file() -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for line in re.findall(r"^COPY (?!--from)(.+)$", docker, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
            assert name in allowed


def test_lock_pins_every_dependency_within_its_range() -> None:
    from packaging.requirements import Requirement

    pins = dict(
        line.split("==")
        for line in (ROOT / "docker" / "requirements.lock").read_text().splitlines()
        if line and not line.startswith("#")
    )
    for text in PROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        assert pins[requirement.name.lower()] in requirement.specifier


def test_scripts_can_be_started() -> None:
    for name in (".ci/run", "workflows/slurm/submit.sh"):
        assert (ROOT / name).stat().st_mode & stat.S_IXUSR, name
        subprocess.run(["bash", "-n", ROOT / name], check=True)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
