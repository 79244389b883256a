"""Which runs a grid has: specs, axes, files."""

from __future__ import annotations

from pathlib import Path

import pytest

from project import make_project
from tether.cli import main
from tether.errors import RequestError
from tether.points import LONGEST, grid_of, method_of, plan, read_grid, split


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def test_split_at_commas_outside_brackets() -> None:
    assert split("a, b(c=1,d=[2,3]),e({x: 1, y: (2)}) ,") == ["a", "b(c=1,d=[2,3])", "e({x: 1, y: (2)})"]
    for wrong in ("a(b", "a)b("):
        with pytest.raises(RequestError, match="every bracket"):
            split(wrong)


def test_a_method_with_options() -> None:
    assert method_of("rdft") == ("rdft", {})
    name, options = method_of("rdft(alpha=1, shifts=[typos, {name: words, weight: 2}], mu=null)")
    assert name == "rdft"
    assert options == {"alpha": 1, "shifts": ["typos", {"name": "words", "weight": 2}], "mu": None}
    assert method_of("vpt(lr=1e-3)") == ("vpt", {"lr": 0.001})
    with pytest.raises(RequestError, match="did you mean 'alpha'"):
        method_of("rdft(alhpa=1)")
    with pytest.raises(RequestError, match="did you mean 'rdft'"):
        method_of("rdtf(alpha=1)")
    with pytest.raises(RequestError, match="option=value"):
        method_of("rdft(alpha)")


def test_axes() -> None:
    assert grid_of(["method.alpha=0.5,1", "evaluate.severities=[1,2],[3]"]) == {
        "method.alpha": [0.5, 1],
        "evaluate.severities": [[1, 2], [3]],
    }
    for wrong, why in ((["x"], "key=value"), (["x="], "key=value"), (["a=1", "a=2"], "given twice")):
        with pytest.raises(RequestError, match=why):
            grid_of(wrong)


def test_the_points_are_the_product_and_seeds_come_first(config: Path) -> None:
    axes = {"method.robust_weight": [0.3, 1], "train.lr_scale": [0.5, 1, 2]}
    points = plan(str(config), ["finetune", "rdft", "rdft(robust_weight=3)"], [0, 1], [], "out", axes)
    # finetune has no robust_weight: three points; rdft six; the one that sets it itself three.
    assert len(points) == 2 * (3 + 6 + 3)
    assert [c.seed for c in points] == [0] * 12 + [1] * 12
    assert len({c.output for c in points}) == len(points)
    seen = {(c.method.name, c.method.options.get("robust_weight"), c.train.lr_scale) for c in points}
    wanted = {("finetune", None, lr) for lr in (0.5, 1, 2)}
    wanted |= {("rdft", w, lr) for w in (0.3, 1, 3) for lr in (0.5, 1, 2)}
    assert seen == wanted
    assert points[0].output == "out/finetune_train.lr-scale-0.5_s0"


def test_without_a_grid_the_folders_are_as_before(config: Path) -> None:
    points = plan(str(config), ["lora", "rdft(alpha=1)"], [3], [], "out")
    assert [c.output for c in points] == ["out/lora_s3", "out/rdft_alpha-1.0_s3"]


def test_the_same_point_is_one_run(config: Path) -> None:
    assert len(plan(str(config), ["rdft", "rdft(alpha=0.5)"], [0])) == 1  # 0.5 is the default


def test_a_long_name_is_cut_and_stays_its_own(config: Path) -> None:
    axes = {"method.shifts": [["words", "format"], None]}
    many = "rdft(alpha=0.25, task_temperature=3, robust_temperature=3, rank=4, lora_alpha=9, rar_floor=0.01)"
    points = plan(str(config), [many], [0], [], "out", axes)
    names = [Path(c.output or "").name for c in points]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= LONGEST


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ({"method.alhpa": [1]}, "did you mean 'alpha'"),
        ({"train.stesp": [1]}, "did you mean 'steps'"),
        ({"train.steps": [-1]}, "greater than or equal to 1"),
        ({"seed": [0, 1]}, "use --methods, --seeds"),
    ],
)
def test_a_wrong_axis_is_refused(config: Path, axes: dict[str, list[object]], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        plan(str(config), ["rdft", "finetune"], [0], [], None, axes)


def test_a_grid_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        "methods: [finetune, 'rdft(alpha=1)', {name: rdft, mu: null, shifts: [words]}]\n"
        "seeds: [0, 2]\ngrid:\n  train.lr_scale: [0.5, 1]\n"
    )
    read = read_grid(path)
    assert read.methods is not None
    assert [method_of(m) for m in read.methods] == [
        ("finetune", {}),
        ("rdft", {"alpha": 1}),
        ("rdft", {"mu": None, "shifts": ["words"]}),
    ]
    assert (read.seeds, read.grid) == ((0, 2), {"train.lr_scale": [0.5, 1]})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("method: [rdft]", "Known: grid, methods, seeds"),
        ("[rdft]", "to hold methods"),
        ("grid: {train.steps: 3}", "a list of values"),
        ("seeds: many", "a count or a list"),
        ("methods: rdft", "to be a list"),
        ("methods: [{alpha: 1}]", "expected a method's name"),
        ("methods: [", "is not YAML"),
    ],
)
def test_a_wrong_grid_file(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=why):
        read_grid(path)


def test_a_missing_grid_file_is_a_wrong_request(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(config), "--grid", "nowhere.yaml"]) == 2
    assert "cannot read nowhere.yaml" in capsys.readouterr().err
