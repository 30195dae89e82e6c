"""The documents say what the program does: commands, options, settings, gates, links, codes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from anonymi_bids import errors, settings
from anonymi_bids.cli.parser import build_parser
from anonymi_bids.model import REQUIRED_GATES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "workflows").rglob("*.md"),
        *(ROOT / "singularity").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
EXPECTED = ("index", "install", "usage", "outputs", "methods", "gates", "audit", "dicom", "hpc")
EXPECTED += ("developers", "benchmarks")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }


def code_blocks(text: str) -> Iterator[str]:
    for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.DOTALL):
        yield re.sub(r"\\\n\s*", " ", block)


def commands(text: str) -> Iterator[str]:
    """Calls of ``anonymi-bids`` itself, or of a container that holds it, in code blocks."""
    for block in code_blocks(text):
        for line in block.splitlines():
            call = re.search(r"(?:^|\s)(anonymi-bids|\S*anonymi_bids(?:\.sif)?)\s+(/?\w.*)$", line)
            if call and not line.lstrip().startswith("#"):
                yield call.group(2).split("|")[0].strip()


@pytest.mark.parametrize("name", EXPECTED)
def test_page_is_there(name: str) -> None:
    assert len(text_of(f"docs/{name}.md").splitlines()) > 10


def test_readme_begins_with_the_two_commands_and_make_knows_them() -> None:
    first = next(code_blocks(text_of("README.md")))
    assert [line.split("#")[0].strip() for line in first.splitlines()] == [
        "make demo",
        "make test",
    ]
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    for path in DOCUMENTS:
        for block in code_blocks(path.read_text(encoding="utf-8")):
            for target in re.findall(r"^make (\S+)", block, re.MULTILINE):
                assert target in targets, f"{path.name}: make {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(path.read_text(encoding="utf-8")):
        words = [word.strip("\"'") for word in command.split("#")[0].split()]
        if "INPUT" in words or "participant" in words or "group" in words:
            try:
                build_parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"{command}: {capsys.readouterr().err}")


@functools.cache
def known_options() -> frozenset[str]:
    """Options of the three commands, from their own help, and of benchmarks and examples."""
    from anonymi_bids.cli import atlas, phantoms

    known = options_of(build_parser())
    for module in (atlas, phantoms):
        with contextlib.redirect_stdout(io.StringIO()) as text, pytest.raises(SystemExit):
            module.main(["--help"])
        known |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text.getvalue()))
    for script in [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "workflows").glob("*.py")]:
        known |= set(re.findall(r'"(--[a-z][a-z-]*)"', script.read_text(encoding="utf-8")))
    return frozenset(known)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_options_named_in_the_text_exist(path: Path) -> None:
    foreign = {"--cleanenv", "--containall", "--no-home", "--fakeroot", "--net", "--network"}
    foreign |= {"--network none", "--read-only", "--user", "--build-arg"}
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)", text)) - foreign
    assert named <= known_options()


def test_every_option_is_explained() -> None:
    usage = text_of("docs/usage.md")
    missing = {o for o in options_of(build_parser()) if f"`{o}" not in usage} - {"--help"}
    assert not missing


def test_every_setting_is_explained() -> None:
    usage = text_of("docs/usage.md") + text_of("docs/gates.md")
    for part in dataclasses.fields(settings.Settings):
        if part.name in settings._PARTS:
            for field in dataclasses.fields(settings._PARTS[part.name]):
                assert f"`{field.name}`" in usage, f"{part.name}.{field.name}"
        else:
            assert f"`{part.name}`" in usage, part.name


def test_every_gate_is_explained() -> None:
    gates = text_of("docs/gates.md")
    assert not [gate for gate in REQUIRED_GATES if f"`{gate}`" not in gates]


def test_exit_codes_are_those_of_the_program() -> None:
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AnonymiError)
    } | {0, 130}
    for name in ("README.md", "docs/usage.md"):
        table = {int(code) for code in re.findall(r"^\| (\d+) \|", text_of(name), re.MULTILINE)}
        assert table == codes, name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target


def test_version_is_the_same_everywhere() -> None:
    assert f"version: {PROJECT['version']}" in text_of("CITATION.cff")
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", text_of("CHANGELOG.md"), re.M)


def test_scripts_named_in_the_package_are_named_in_the_documents() -> None:
    everything = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for name in PROJECT["scripts"]:
        assert name in everything


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_the_report_may_not_use_are_not_used_as_claims(path: Path) -> None:
    """Nothing here makes data anonymous; the word stands only where that is denied."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.search(r"\banonymous\b|\banonymised\b|\banonymized\b", line, re.IGNORECASE):
            assert re.search(r"\bnot\b|\bnever\b|\bno\b", line, re.IGNORECASE), line


def test_checks_can_fail() -> None:
    page = "```bash\nanonymi-bids INPUT OUTPUT group --nonsense\n```"
    (command,) = commands(page)
    with pytest.raises(SystemExit):
        build_parser().parse_args(command.split())
    assert "--nonsense" not in options_of(build_parser())
