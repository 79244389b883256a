"""Imports go one way, three rooms know the modality, the engine names no method: read off the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tether
from tether import methods

ROOT = Path(tether.__file__).parent
# Each room may import from rooms of the same or a lower level (docs/architecture.md). Files at the top of the
# package (config, run, grid, cli, ...) come last; errors, files, progress and batch come first.
LEVELS = [
    {"errors", "files", "progress", "batch", "cached", "plugins", "signature", "allocator"},
    {"data"},
    {"shifts"},
    {"models"},
    {"prediction"},
    {"tune"},
    {"objective"},
    {"finish"},
    {"methods"},
    {"training"},
    {"teachers"},
    {"evaluation"},
    {"report"},
    {"integrations"},
    {
        "asked",
        "config",
        "folder",
        "scene",
        "making",
        "steering",
        "stress_test",
        "run",
        "untrained",
        "supply",
        "preview",
        "cli_report",
        "cli_shifts",
        "cli_proof",
        "compose",
        "ablation_rows",
        "ablate",
        "merge_ends",
        "merging",
        "cli_evaluate",
        "cli_transfer",
        "cli_cache",
        "robustness",
        "other_tasks",
        "cli_compare",
        "runnable",
        "points",
        "engines",
        "matched",
        "grid",
        "inference",
        "listing",
        "cost",
        "soups",
        "doctor",
        "estimate",
        "cli",
        "__init__",
        "__main__",
    },
]
LEVEL = {name: i for i, names in enumerate(LEVELS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "tether":
                found |= {a.name for a in node.names if a.name in LEVEL}
            elif node.module.startswith("tether."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("tether.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    mine = LEVEL[room(path)]
    higher = {r for r in imported_rooms(path) if LEVEL[r] > mine}
    assert not higher, f"{room(path)} may not import {higher}"


def test_the_check_would_see_a_wrong_import(tmp_path: Path) -> None:
    wrong = tmp_path / "x.py"
    wrong.write_text("from tether.report.page import write_page\nfrom tether import run")
    assert imported_rooms(wrong) == {"report", "run"}


ENGINE = (
    "prediction",
    "objective",
    "training",
    "teachers",
    "finish",
    "evaluation",
    "run",
    "scene",
    "making",
    "steering",
    "stress_test",
    "untrained",
    "tune",
    "models",
    "shifts",
)


@pytest.mark.parametrize(
    "path", [p for p in FILES if room(p) in ENGINE], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_engine_names_no_method(path: Path) -> None:
    """No method's name as a string outside docstrings; one exception, evaluating untouched models."""
    # Also the names of a tuning, of a head, and of a kind of mean.
    names = set(methods.names()) - {"lora", "zero_shot", "ema"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node, clean=False)
    }
    used = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    }
    allowed = {"linear_probe"} if room(path) == "untrained" else set()
    assert not (used & names) - allowed


MODAL = {"PIL", "transformers", "tokenizers"}


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if room(p) not in {"data", "models", "shifts"}],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_only_three_rooms_know_the_modality(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.split(".")[0])
    assert not roots & MODAL
