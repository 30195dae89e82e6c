"""Only ``bids/writer.py`` makes, moves or removes anything in ``release/``.

A static search: paths are followed from where they are built out of ``release`` to where
something is written, within each function and over the module's constants. It is a fence against
forgetfulness, not against malice; ``tests/bids/test_writer.py`` tries the door itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "anonymi_bids"
DOOR = "bids/writer.py"

WRITING_METHODS = frozenset(
    "write_text write_bytes mkdir touch unlink rmdir rename replace symlink_to chmod".split()
)
WRITING_CALLS = frozenset(
    "atomic_path write_text write_bytes write_json write_image write_volumes copy copy2 copyfile "
    "copytree move rmtree makedirs remove replace rename symlink link truncate to_filename savez "
    "savez_compressed save to_csv to_json".split()
)
READING_MODES = frozenset({"r", "rb", "rt"})


def called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return getattr(node.func, "id", "")


def speaks_of_release(node: ast.AST, tainted: set[str]) -> bool:
    """Whether an expression is built out of the release folder or of a name that is."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            if re.fullmatch(r"release(/\S*)?", part.value):
                return True
        if isinstance(part, ast.Name) and part.id in tainted:
            return True
        if isinstance(part, ast.Attribute) and part.attr in ("RELEASE", "release_folder"):
            return True
    return False


def targets_of(node: ast.AST) -> Iterator[tuple[list[ast.expr], ast.expr]]:
    """Yield (targets, value) of everything that binds a name."""
    if isinstance(node, ast.Assign):
        yield node.targets, node.value
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        yield [node.target], node.value
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield [node.target], node.iter
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield [node.optional_vars], node.context_expr


PATH_CALLS = frozenset(
    "Path joinpath with_name with_suffix resolve absolute glob rglob iterdir walk sorted list "
    "join fspath str incoming_folder".split()
)


def is_path(value: ast.expr) -> bool:
    """Whether a value may be a path: what is read or counted there is none."""
    if isinstance(value, ast.Call):
        return called(value) in PATH_CALLS
    return not isinstance(value, (ast.Compare, ast.Dict, ast.DictComp, ast.BoolOp))


def tainted_names(scope: ast.AST, known: set[str]) -> set[str]:
    tainted = set(known)
    for _ in range(5):
        before = len(tainted)
        for node in ast.walk(scope):
            for targets, value in targets_of(node):
                if is_path(value) and speaks_of_release(value, tainted):
                    for target in targets:
                        tainted |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
        if len(tainted) == before:
            break
    return tainted


def opens_for_writing(node: ast.Call) -> bool:
    if called(node) != "open":
        return False
    at = 0 if isinstance(node.func, ast.Attribute) else 1
    modes = [*node.args[at : at + 1], *(k.value for k in node.keywords if k.arg == "mode")]
    return any(not (isinstance(m, ast.Constant) and m.value in READING_MODES) for m in modes)


def writes_in_release(source: str) -> list[int]:
    """Lines on which something may be written to a path built out of ``release``."""
    tree = ast.parse(source)
    defined = (ast.FunctionDef, ast.ClassDef)
    top = ast.Module([node for node in tree.body if not isinstance(node, defined)], [])
    constants = tainted_names(top, {"RELEASE"})
    lines = []
    for scope in ast.walk(tree):
        if not isinstance(scope, (ast.FunctionDef, ast.Module)):
            continue
        tainted = tainted_names(scope, constants) if scope is not tree else constants
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call):
                continue
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            writes = opens_for_writing(node) or called(node) in WRITING_METHODS | WRITING_CALLS
            places = [*arguments, *([owner] if owner is not None else [])]
            if writes and any(speaks_of_release(place, tainted) for place in places):
                lines.append(node.lineno)
    return sorted(set(lines))


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_other_module_writes_to_the_release(path: Path) -> None:
    lines = writes_in_release(path.read_text(encoding="utf-8"))
    if path.relative_to(PACKAGE).as_posix() == DOOR:
        assert lines, "the search does not even see the door"
    else:
        assert not lines, f"{path.name} writes to release/ on lines {lines}"


PLANTED = [
    "def f(output):\n    (output / 'release' / 'x').write_text('a')",
    "def f(output):\n    target = output / 'release'\n    shutil.copyfile('a', target / 'b')",
    "def f(o):\n    top = o / 'release'\n    for p in top.rglob('*'):\n        p.unlink()",
    "def f(output):\n    with open(output / 'release/x.tsv', 'w') as s:\n        s.write('a')",
    "def f(output):\n    with (output / 'release' / 'x').open('ab') as s:\n        s.write(b'a')",
    "from anonymi_bids.bids.writer import RELEASE\ndef f(o, a):\n    os.replace(a, o / RELEASE)",
    "from anonymi_bids.bids import writer\ndef f(o, a):\n    write_json(o / writer.RELEASE, a)",
    "DOOR = 'release'\ndef f(o):\n    (o / DOOR).mkdir()",
    "def f(o):\n    with atomic_path(Path(o, 'release', 'x')) as t:\n        pass",
    "class A:\n    def f(self):\n        x = f'{self.out}/' + 'release/x'\n        os.remove(x)",
]


@pytest.mark.parametrize("source", PLANTED)
def test_planted_back_door_is_seen(source: str) -> None:
    assert writes_in_release(source)


INNOCENT = [
    "def f(o):\n    return (o / 'release' / 'x').read_text()",
    "def f(o):\n    with (o / 'release' / 'x').open('rb') as s:\n        return s.read()",
    "def f(o):\n    n = len(list((o / 'release').iterdir()))\n    write_json(o / 'n', {'n': n})",
    "def f(o):\n    text = (o / 'release/x').read_text()\n    (o / 'y').write_text(text)",
]


@pytest.mark.parametrize("source", INNOCENT)
def test_reading_the_release_is_allowed(source: str) -> None:
    assert not writes_in_release(source)
