"""A grid goes on past what fails, stops when asked, finds what is done, and runs on Ray."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

import tether
from project import make_project
from tether.cli import main
from tether.errors import Interrupted, RequestError
from tether.files import cache_dir
from tether.report.runs import find_runs, read_runs
from tether.run import _trained, train


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(make_project(tmp_path))


def three_methods(config: str, grid: Path) -> list[str]:
    words = ["compare", config, "--methods", "linear_probe,lora,wise_ft"]
    return [*words, "--seeds", "1", "--output", str(grid)]


def fail_once(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Let one method's run fail in the middle."""

    def run(folder, config, *rest):
        if config.method.name == name:
            raise error
        return _trained(folder, config, *rest)

    monkeypatch.setattr("tether.run._trained", run)


def test_any_failure_is_written_down_and_the_rest_go_on(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid"
    asked = three_methods(config, grid)
    with monkeypatch.context() as patch:
        fail_once(patch, "lora", ZeroDivisionError("a bug"))
        assert main([*asked, "--json"]) == 1
    caught = capsys.readouterr()
    said = json.loads(caught.out)
    error = grid / "lora_s0" / "error.txt"
    assert said["failed"] == {"lora_s0": f"ZeroDivisionError: a bug (traceback in {error})"}
    assert [row["method"] for row in said["rows"]] == ["linear_probe", "wise_ft"]
    assert "in fail_once" not in error.read_text()
    assert "raise error" in error.read_text()
    assert "lora_s0 failed" in caught.err
    # From the folder alone the report says so as well.
    assert any("failed: lora_s0: ZeroDivisionError" in p for p in read_runs(find_runs(grid))[0].problems)
    # The same command repeats the failed run alone, and takes its note away.
    stamps = {p: p.stat().st_mtime_ns for p in grid.rglob("results.jsonl")}
    assert main(asked) == 0
    assert not error.exists()
    assert {p: p.stat().st_mtime_ns for p in grid.rglob("results.jsonl") if p in stamps} == stamps
    assert all(not run.problems for run in read_runs(find_runs(grid)))


def test_a_refusal_before_the_folder_begins_leaves_a_folder_that_can_be_used(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args):
        raise RequestError("not today")

    with monkeypatch.context() as patch:
        patch.setattr("tether.scene.check_model", refuse)
        patch.setattr("tether.grid.can_run", lambda config: None)
        with pytest.raises(RequestError, match="no run of the comparison finished"):
            tether.compare(config, ["lora"], 1, output=str(tmp_path / "grid"))
    assert (tmp_path / "grid" / "lora_s0" / "error.txt").is_file()
    assert tether.compare(config, ["lora"], 1, output=str(tmp_path / "grid")).failed == {}


@pytest.mark.parametrize("error", [Interrupted("stopped"), KeyboardInterrupt()])
def test_ctrl_c_stops_the_grid(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    grid = tmp_path / "grid"
    asked = three_methods(config, grid)
    with monkeypatch.context() as patch:
        fail_once(patch, "lora", error)
        assert main(asked) == 130
    assert (grid / "linear-probe_s0" / "summary.json").is_file()
    assert not (grid / "wise-ft_s0").exists()
    assert not (grid / "lora_s0" / "error.txt").exists()
    assert main(asked) == 0


def test_a_grid_on_the_command_line(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("methods: [linear_probe, lora]\nseeds: 1\ngrid: {train.lr_scale: [0.5, 1]}\n")
    grid = ["--grid", str(file), "--grid", "method.rank=2,4"]
    assert main(["compare", config, *grid, "--output", str(tmp_path / "grid"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    wanted = [f"linear_probe(train.lr_scale={lr})" for lr in ("0.5", "1")]
    wanted += [f"lora(rank={r}, train.lr_scale={lr})" for r in (2, 4) for lr in ("0.5", "1")]
    assert sorted(row["method"] for row in said["rows"]) == sorted(wanted)
    assert said["reference"] == wanted[0]


def test_the_headline_is_the_metric_asked_for_also_of_runs_that_are_there(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "compare",
        config,
        "--methods",
        "linear_probe",
        "--seeds",
        "1",
        "--output",
        str(tmp_path / "grid"),
    ]
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "accuracy"
    assert main([*asked, "--json", "evaluate.metric=macro_f1"]) == 0
    caught = capsys.readouterr()
    assert "1 of 1 runs are finished already" in caught.err  # nothing was trained for it
    assert json.loads(caught.out)["metric"] == "macro_f1"


def _start(config: str, output: str, gate) -> None:
    gate.wait()
    train(config, [f"output={output}", "method=lora"])


def test_two_processes_do_not_write_one_run(config: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(2)
    output = str(tmp_path / "one")
    both = [context.Process(target=_start, args=(config, output, gate)) for _ in range(2)]
    for p in both:
        p.start()
    for p in both:
        p.join(120)
    assert [p.exitcode for p in both] == [0, 0]
    log = [json.loads(line)["step"] for line in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]
    assert log == list(range(6))


def test_an_unknown_engine_and_a_missing_ray(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="did you mean 'ray'"):
        tether.compare(config, ["lora"], 1, engine="rai")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(RequestError, match=r"pip install 'tether\[ray\]'"):
        tether.compare(config, ["lora"], 1, engine="ray")


@pytest.mark.ray
def test_two_workers_on_ray(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    specs = ["lora", "rdft", "rdft(feature_weight=0)", "rdft(alpha=0.7, task_teacher=rdft)"]
    done = tether.compare(config, specs, 1, output="grid", engine="ray", workers=2)
    assert list(done.failed) == ["rdft_alpha-0.7_task-teacher-rdft_s0"]  # a teacher that needs teachers
    assert "needs a trained teacher itself" in next(iter(done.failed.values()))
    assert {row.method for row in done.comparison.rows} == {
        "lora", "rdft(feature_weight=0.03)", "rdft(feature_weight=0)",
    }  # fmt: skip
    assert len(list((cache_dir() / "teachers").iterdir())) == 1  # both rdft runs had one between them
    # As good as a run of its own, bit for bit.
    alone = tether.compare(config, ["lora"], 1, output="alone")
    one, two = (Path(f) / "lora_s0" / "predictions.parquet" for f in ("grid", "alone"))
    assert one.read_bytes() == two.read_bytes()
    assert alone.failed == {}


DEADLY = """
import os
from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full

def deadly() -> Method:
    '''Ends the process it is built in, unless that is the one that started the grid.'''
    if os.environ["TETHER_TEST_DRIVER"] != str(os.getpid()):
        os.kill(os.getpid(), 9)
    return Method(tuning=full(), terms=(ce(),))
"""


@pytest.mark.ray
def test_a_killed_worker_of_ray_fails_its_run_alone(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    package = tmp_path / "package"
    (package / "deadly-1.0.dist-info").mkdir(parents=True)
    (package / "deadly.py").write_text(DEADLY)
    (package / "deadly-1.0.dist-info" / "METADATA").write_text("Name: deadly\nVersion: 1.0\n")
    (package / "deadly-1.0.dist-info" / "entry_points.txt").write_text(
        "[tether.methods]\ndeadly = deadly:deadly\n"
    )
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("TETHER_TEST_DRIVER", str(os.getpid()))
    monkeypatch.chdir(tmp_path)
    done = tether.compare(config, ["deadly", "lora"], 1, output="grid", engine="ray", workers=2)
    assert list(done.failed) == ["deadly_s0"]
    assert done.failed["deadly_s0"].startswith("its worker died")
    assert [row.method for row in done.comparison.rows] == ["lora"]
    # From the folder alone the report says so as well.
    assert any("deadly_s0" in p for p in read_runs(find_runs(Path("grid")))[0].problems)
