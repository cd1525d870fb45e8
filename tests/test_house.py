"""The plan of the package: imports run one way, rooms and files stay small, and every test has its room.

The rooms stand in the order of `ORDER`; a file may import from its own room and from rooms before it. The graph is
read from the syntax tree, imports inside functions and under TYPE_CHECKING included.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rp_tutorial"
ORDER = (
    "core", "statistics", "theory", "verification", "attributes", "data", "models", "training", "oracles", "attacks",
    "experiments", "figures", "ledger", "checks", "doctor", "cli", "__main__",
)  # fmt: skip
MOST_FILES, MOST_LINES = 14, 400


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in files()}


def imported(path: Path) -> set[str]:
    """The package's own modules that a file imports, by name; a name taken from a room's face counts as the room."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return {name for name in found if name in MODULES}


GRAPH = {name: imported(path) for name, path in MODULES.items()}


def through_faces(path: Path) -> list[str]:
    """Names that a file takes from a room instead of the file they live in."""
    froms = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    taken = [(node.module, alias.name) for node in froms for alias in node.names]
    rooms = {name for name, file in MODULES.items() if file.stem == "__init__"}
    return [f"{room}.{name}" for room, name in taken if room in rooms and f"{room}.{name}" not in MODULES]


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def upward(graph: dict[str, set[str]]) -> list[str]:
    """The arrows that run back up: from a file to one of a later room."""
    return [
        f"{source} imports {target}"
        for source, targets in graph.items()
        for target in targets
        if room_of(source) and room_of(target) and ORDER.index(room_of(target)) > ORDER.index(room_of(source))
    ]


def test_every_room_of_the_package_has_its_place_in_the_order() -> None:
    assert {room_of(name) for name in MODULES if room_of(name)} <= set(ORDER)


def test_no_import_runs_back_up() -> None:
    assert upward(GRAPH) == []


def test_nothing_rests_on_the_checks() -> None:
    """Chapters and autograders ask them; a result that followed them would change with the wording of a line."""
    assert [
        name for name, found in GRAPH.items() if room_of(name) != "checks" and "checks" in map(room_of, found)
    ] == []


def test_no_imports_run_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def test_inside_the_package_nothing_is_imported_through_a_face() -> None:
    """Faces are for users: an import from the file itself is what the graph above and the hash of a stage follow."""
    taken = {module: through_faces(path) for module, path in MODULES.items()}
    version = {"rp_tutorial.__version__"}  # of the package itself
    assert {module: names for module, names in taken.items() if set(names) - version} == {}


def test_an_import_through_a_face_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text("from rp_tutorial.theory import halfspace, plan\nfrom rp_tutorial import Smoothing\n")
    assert through_faces(file) == ["rp_tutorial.theory.plan", "rp_tutorial.Smoothing"]


def test_an_arrow_that_runs_back_would_be_found() -> None:
    back = {"rp_tutorial.core.labels": {"rp_tutorial.oracles.base"}}
    assert upward(back) == ["rp_tutorial.core.labels imports rp_tutorial.oracles.base"]


def test_no_folder_has_more_than_fourteen_files_and_no_file_more_than_four_hundred_lines() -> None:
    folders = {path.parent for path in files()}
    crowded = [folder for folder in folders if len(list(folder.glob("*.py"))) > MOST_FILES]
    everywhere = [
        path for folder in ("rp_tutorial", "tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    long = [path for path in everywhere if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES]
    assert (crowded, long) == ([], [])


def test_tests_mirror_the_package() -> None:
    """A test of one module lies where the module lies; what tests several things lies at the root or in a room."""
    rooms = {path.parent.relative_to(PACKAGE) for path in files()}
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders - {Path("device")} <= rooms  # tests/device crosses all rooms, as it is what a GPU has to show
