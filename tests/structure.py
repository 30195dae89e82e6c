"""Rules of the house, as functions from a module's source to what breaks them.

They live apart from ``test_layers.py`` so that each rule can be tried on a source that breaks it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "anonymi_bids"
ROOT = Path(__file__).resolve().parents[1]

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_FACTORY_LINES = 120
"""Docstrings are not counted."""

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "errors", "settings", "model"}),
    frozenset({"core"}),
    frozenset({"io"}),
    frozenset({"phantoms"}),
    frozenset({"head"}),
    frozenset({"dicom", "bids", "gates", "audit", "report", "deface"}),
    frozenset({"interfaces"}),
    frozenset({"graphs"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""From the ground up: a module may import what lies below its own layer, and its own room."""

SIDE_DOORS: frozenset[tuple[str, str]] = frozenset()
"""(room, room) on one layer where the first may import the second, each with its reason here."""

OWNERS: dict[str, frozenset[str]] = {
    "nibabel": frozenset({"io"}),
    "isal": frozenset({"io", "bids"}),
    "nipype": frozenset({"cli", "graphs", "interfaces", "dicom"}),
    "pydicom": frozenset({"dicom", "phantoms"}),
    "ants": frozenset({"head", "audit"}),
    "bids": frozenset({"bids"}),
    "torch": frozenset({"head"}),
    "jinja2": frozenset({"report"}),
    "altair": frozenset({"report"}),
    "vl_convert": frozenset({"report"}),
    "typst": frozenset({"report"}),
    "argparse": frozenset({"cli", "head", "phantoms"}),
}
"""Libraries that only some rooms may know."""

CORE_LIBRARIES = frozenset({"numpy", "scipy", "edt"})
CORE_FORBIDDEN = frozenset({"os", "pathlib", "shutil", "tempfile", "logging", "subprocess"})


@dataclass(frozen=True)
class Import:
    """One imported name: its full dotted path and the line of the statement."""

    name: str
    line: int


def modules() -> list[Path]:
    """All modules of the package."""
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def module_name(path: Path, root: Path = ROOT) -> str:
    """Dotted name of a module, ``anonymi_bids.core.grid``; packages keep ``__init__``."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def room_of(module: str) -> str:
    """Second part of a dotted name: the room, or the module at the top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def layer_of(room: str) -> int:
    """Layer of a room, counted from the ground."""
    for layer, rooms in enumerate(LAYERS):
        if room in rooms:
            return layer
    raise KeyError(f"The room {room} stands in no layer; add it to LAYERS.")


def imports_of(source: str, module: str) -> list[Import]:
    """Everything a module imports, at the top, inside functions, relative or by name."""
    package = module.split(".")[:-1]
    found: list[Import] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = ".".join([*base, *([node.module] if node.module else [])])
            found += [Import(f"{path}.{alias.name}", node.lineno) for alias in node.names]
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            found += [
                Import(argument.value, node.lineno)
                for argument in node.args[:1]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
    return found


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def direction(source: str, module: str) -> Iterator[str]:
    """Imports that go up, or sideways into another room."""
    room = room_of(module)
    for entry in imports_of(source, module):
        if entry.name.split(".")[0] != PACKAGE:
            continue
        target = room_of(entry.name)
        if target == "__version__":
            target = "__init__"
        if target == room or (room, target) in SIDE_DOORS:
            continue
        if layer_of(room) == 0 and layer_of(target) == 0:
            continue
        if layer_of(target) >= layer_of(room):
            yield f"line {entry.line}: {room} must not import {target}"


def ownership(source: str, module: str) -> Iterator[str]:
    """Libraries used outside the rooms that own them."""
    room = room_of(module)
    for entry in imports_of(source, module):
        library = entry.name.split(".")[0]
        if library in OWNERS and room not in OWNERS[library]:
            yield f"line {entry.line}: {room} must not import {library}"


def core_is_pure(source: str, module: str) -> Iterator[str]:
    """Core knows numpy, scipy and edt, no files, no settings, no nipype."""
    if room_of(module) != "core":
        return
    for entry in imports_of(source, module):
        top = entry.name.split(".")[0]
        if entry.name.startswith(f"{PACKAGE}.settings"):
            yield f"line {entry.line}: core gets plain values, not settings"
        elif top in CORE_FORBIDDEN:
            yield f"line {entry.line}: core must not import {top}"
        elif top != PACKAGE and top not in CORE_LIBRARIES and top not in sys.stdlib_module_names:
            yield f"line {entry.line}: core must not import {top}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called(node) in {"open", "load", "save", "savez"}:
            yield f"line {node.lineno}: core must not touch files"


def sizes(source: str, module: str) -> Iterator[str]:
    """Modules, functions and graph factories that are too long to be read at one go."""
    n_lines = len(source.splitlines())
    if n_lines > MAX_MODULE_LINES:
        yield f"{n_lines} lines; at most {MAX_MODULE_LINES} are allowed in a module"
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        factory = node.name.startswith("init_") and node.name.endswith("_wf")
        limit = MAX_FACTORY_LINES if factory else MAX_FUNCTION_LINES
        length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
        if length > limit:
            yield f"line {node.lineno}: {node.name} has {length} lines, at most {limit} allowed"


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's docstring: explaining oneself costs nothing."""
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def silence(source: str, module: str) -> Iterator[str]:
    """Calls of print outside the command line's own modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "print":
                yield f"line {node.lineno}: print is not used in the package"


def exits(source: str, module: str) -> Iterator[str]:
    """Anything but the command line that ends the process."""
    if room_of(module) in {"cli", "__main__"}:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "sys.exit",
            "os._exit",
            "os.abort",
            "exit",
            "quit",
        }:
            yield f"line {node.lineno}: only cli ends the process"
        elif isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if ast.unparse(raised) == "SystemExit":
                yield f"line {node.lineno}: only cli ends the process"


def surroundings(source: str, module: str) -> Iterator[str]:
    """Reading of the environment outside the command line: choices come as arguments.

    Setting a variable for a library (its threads, its telemetry) is no reading.
    """
    if room_of(module) in {"cli", "__main__"}:
        return
    reads = re.compile(r"os\.environ(\.(get|items|keys|values|copy)\b|$)|os\.getenv\b")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found = reads.match(ast.unparse(node.func))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            found = reads.match(ast.unparse(node.value))
        elif isinstance(node, ast.Compare):
            found = next((m for c in node.comparators if (m := reads.match(ast.unparse(c)))), None)
        else:
            continue
        if found:
            yield f"line {node.lineno}: only cli reads the environment"


def global_state(source: str, module: str) -> Iterator[str]:
    """Use of the global statement, and of numpy's global random state."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: no global state"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if re.fullmatch(r"np\.random\.\w+", name) and name.split(".")[-1] not in {
                "default_rng",
                "Generator",
                "SeedSequence",
                "PCG64",
                "Philox",
            }:
                yield f"line {node.lineno}: {name} uses the global random state"


RULES = (
    direction,
    ownership,
    core_is_pure,
    sizes,
    silence,
    exits,
    surroundings,
    global_state,
)
