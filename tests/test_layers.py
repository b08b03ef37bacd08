"""Imports go one way: deployments -> flows -> tasks -> scd_core, inside scd_core from room to room, and nowhere in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("scd_core", "tasks", "flows", "deployments")
ROOMS = (
    (
        "scd_core.errors",
        "scd_core.names",
        "scd_core.label_names",
        "scd_core.boxes",
        "scd_core.config",
        "scd_core.config_doc",
    ),
    ("scd_core.storage",),
    ("scd_core.tables",),
    ("scd_core.inputs",),
    ("scd_core.media",),
    ("scd_core.identify",),
    ("scd_core.triage",),
    ("scd_core.masks",),
    ("scd_core.reclassify",),
    ("scd_core.audit",),
    ("scd_core.improve",),
    ("scd_core.scenes",),
    ("scd_core.request",),
    ("scd_core.joined",),
    ("scd_core.kept_out",),
    ("scd_core.job", "scd_core.doctor"),
    ("tasks",),
    ("flows",),
    ("deployments",),
)
"""From the bottom up: a module imports from its own room and from those above it in this list."""


def imported(path: Path, module: str = "", *, is_package: bool = False) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Everything a file imports, also inside functions: module, and names from it; not what is for type checkers alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            yield ".".join([*above, node.module or ""]).strip("."), tuple(alias.name for alias in node.names)


def import_graph(root: Path, layers: tuple[str, ...] = LAYERS) -> dict[str, set[str]]:
    """Module -> modules of the same tree that it imports; a package is its ``__init__.py``."""
    paths = {}
    for path in (path for layer in layers for path in (root / layer).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {module: set() for module in paths}
    for module, path in paths.items():
        for source, names in imported(path, module, is_package=path.name == "__init__.py"):
            found = {f"{source}.{name}" for name in names} & paths.keys()
            if len(found) < len(names) or not names:
                found |= {source} & paths.keys()
            graph[module] |= found - {module}
    return graph


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The modules of an import circle, the first one again at the end; none where there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def arrows_up(graph: dict[str, set[str]]) -> list[str]:
    """Imports from a room further down the list."""
    return sorted(
        f"{module} -> {target}"
        for module, targets in graph.items()
        for target in targets
        if _floor(target) > _floor(module)
    )


def _floor(module: str) -> int:
    for floor, rooms in enumerate(ROOMS):
        if any(module == room or module.startswith(f"{room}.") for room in rooms):
            return floor
    return -1 if module in ("scd_core", "") else len(ROOMS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"tests", "benchmarks"}
    if layer == "scd_core":
        above |= {"prefect", "prefect_ray", "ray"}
    for path in sorted((ROOT / layer).rglob("*.py")):
        found = {source.partition(".")[0] for source, _ in imported(path)} & above
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_the_check_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    """The fixture of the test above: a forbidden import that only a walk through functions finds."""
    (tmp_path / "bad.py").write_text("def f():\n    from prefect.tasks import task\n    return task\n")
    assert ("prefect.tasks", ("task",)) in imported(tmp_path / "bad.py")


def test_no_import_circle() -> None:
    assert not circle_in(import_graph(ROOT))


def test_rooms_import_only_rooms_below() -> None:
    assert not arrows_up(import_graph(ROOT))


def test_every_module_lies_in_a_room() -> None:
    graph = import_graph(ROOT)
    assert len(graph) > 100
    assert [module for module in sorted(graph) if _floor(module) == len(ROOMS)] == []


def test_a_planted_circle_and_a_planted_arrow_up_are_found(tmp_path: Path) -> None:
    files = {
        "scd_core/__init__.py": "",
        "scd_core/media/__init__.py": "from scd_core.media.one import a",
        "scd_core/media/one.py": "def f():\n    from . import two\n    return two\n",
        "scd_core/media/two.py": "import scd_core.media.three",
        "scd_core/media/three.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from scd_core.media import one\n",
        "scd_core/masks/fit.py": "from scd_core.media.two import b",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert circle_in(import_graph(tmp_path)) == [] and arrows_up(import_graph(tmp_path)) == []
    (tmp_path / "scd_core/media/three.py").write_text("def f():\n    from scd_core.media.one import a\n    return a\n")
    circle = circle_in(import_graph(tmp_path))
    assert circle[0] == circle[-1] and set(circle) == {f"scd_core.media.{name}" for name in ("one", "two", "three")}
    (tmp_path / "scd_core/media/three.py").write_text("from scd_core.masks import fit")
    assert arrows_up(import_graph(tmp_path)) == ["scd_core.media.three -> scd_core.masks.fit"]
    (tmp_path / "scd_core/media/three.py").write_text("import scd_core.media")
    assert set(circle_in(import_graph(tmp_path))) >= {"scd_core.media", "scd_core.media.three"}


def test_help_imports_neither_torch_nor_prefect() -> None:
    code = (
        "import sys; sys.argv = ['trapaudit', '--help']\n"
        "from deployments.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'prefect', 'pandas', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]")


def test_flow_files_stay_small() -> None:
    for path in (ROOT / "flows").glob("*.py"):
        assert len(path.read_text().splitlines()) < 150, path.name
