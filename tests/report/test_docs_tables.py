"""docs/tables.py writes what was measured into the pages, and the pages name every method."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from tether import methods
from tether.report.ablation import ablation_table
from tether.report.ablation_output import ablation_json

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "methods").glob("*.md"))


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_has_a_measured_line():
    named = [name for page in PAGES for name in re.findall(r"^Measured, `(\w+)`", page.read_text(), re.M)]
    assert len(named) == len(set(named))
    without = set(methods.names()) - set(named)
    assert without == {"dad"}  # its VQGAN weights come with no package


def test_the_table_of_a_comparison(tables, comparison, runs):
    text = tables.table(comparison, runs)
    lines = text.splitlines()
    assert lines[0].split(" | ")[1:3] == ["ID", "OOD"]
    assert len(lines) == 2 + len(comparison.rows)
    assert lines[2].startswith(f"| `{comparison.reference}` |")
    ood = [float(line.split("|")[3].split("[")[0]) for line in lines[3:]]
    assert ood == sorted(ood, reverse=True)
    assert {line.count("|") for line in lines} == {9}
    starred = {line.split("`")[1] for line in lines if " * |" in line}
    assert starred == {r.method for r in comparison.rows if not r.inside_noise} - {comparison.reference}


def test_a_table_is_put_between_its_marks(tables):
    page = "a\n<!-- table x -->\nold\n<!-- end -->\nb\n<!-- table y -->\nold\n<!-- end -->\n"
    assert tables.put_table(page, "y", "new") == page[::-1].replace("dlo", "wen", 1)[::-1]
    with pytest.raises(SystemExit, match="no table of z"):
        tables.put_table(page, "z", "new")


def test_figures_of_other_presets_are_kept(tables):
    page = "x\nMeasured, `lora` (ID): `emoji` 1.0 / 2.0 (3.0 / 4.0).\ny\nMeasured, `ema`: not yet.\n"
    out = tables.put_figures(page, {"digits": {"lora": "5.0 / 6.0 (7.0 / 8.0)"}})
    assert out.splitlines()[1].endswith("`digits` 5.0 / 6.0 (7.0 / 8.0), `emoji` 1.0 / 2.0 (3.0 / 4.0).")
    assert out.splitlines()[3] == "Measured, `ema`: not yet."
    assert tables.put_figures(out, {"emoji": {"lora": "9.0 / 9.0"}}).count("9.0 / 9.0") == 1


def test_the_table_of_an_ablation(tables, runs):
    kinds = {"finetune": "control", "wise_ft": "term", "linear_probe": "teacher", "rdft": "full"}
    found = ablation_table(runs, "rdft", "rdft", kinds, {}, {})
    lines = tables.ablated(json.loads(ablation_json(found, "c"))).splitlines()
    assert {line.count("|") for line in lines} == {8}
    assert lines[2].startswith(f"| rdft (`rdft`) | {100 * found.whole[2].value:.1f} | | ")
    assert [line.split(" | ")[0] for line in lines[3:]] == [f"| {r.name}" for r in found.rows]
    assert [" ~" in line.split("|")[3] for line in lines[3:]] == [
        r.gap_change.inside_noise for r in found.rows
    ]
