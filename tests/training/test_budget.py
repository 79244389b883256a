"""`train.max_seconds`: training ends where the clock says, on the schedule of all steps; resumed too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_fit import rows, train, weights

from project import make_project
from tether.config import load_config
from tether.files import read_json
from tether.run import train as whole_run
from tether.training import TrainConfig


class Clock:
    """A second for each training step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        plain = torch.nn.utils.clip_grad_norm_

        def clip(*given):
            self.now += 1.0
            return plain(*given)

        monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", clip)
        monkeypatch.setattr("time.monotonic", lambda: self.now)


def test_the_clock_ends_training_on_the_schedule_of_all_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    _, whole = train(tmp_path / "whole")
    model, cut = train(tmp_path / "cut", max_seconds=7.0)
    assert (whole.steps, whole.planned, whole.out_of_time) == (12, 12, False)
    assert (cut.steps, cut.planned, cut.out_of_time, cut.train_seconds) == (7, 12, True, 7.0)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")[:7]
    # The same call again finds it ended: nothing more is trained.
    again, found = train(tmp_path / "cut", max_seconds=7.0)
    assert (found.steps, found.planned, found.out_of_time) == (7, 12, True)
    assert all(torch.equal(v, weights(again)[n]) for n, v in weights(model).items())


def test_a_limit_that_is_not_reached_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    a, _ = train(tmp_path / "a")
    b, fitted = train(tmp_path / "b", max_seconds=12.0)  # reached with the last step
    assert (fitted.steps, fitted.out_of_time) == (12, False)
    assert all(torch.equal(v, weights(b)[n]) for n, v in weights(a).items())


def test_seconds_before_an_interruption_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    train(tmp_path / "whole", max_seconds=9.0)

    def killed(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patch:
        from tether.training import log

        append = log.append
        patch.setattr(log, "append", lambda path, row: killed() if row["step"] == 6 else append(path, row))
        with pytest.raises(SystemExit):
            train(tmp_path / "cut", max_seconds=9.0)
    clock.now += 1000.0  # the night between does not count
    _, fitted = train(tmp_path / "cut", max_seconds=9.0)
    assert (fitted.steps, fitted.out_of_time) == (9, True)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_the_key_counts_in_fingerprints_only_where_it_is_used(tmp_path: Path) -> None:
    plain, limited = TrainConfig(), TrainConfig(max_seconds=5)
    assert "max_seconds" not in plain.deciding()
    assert limited.deciding()["max_seconds"] == 5
    assert "checkpoint_every" not in plain.deciding()
    path = str(make_project(tmp_path))
    config, other = load_config(path), load_config(path, ["train.max_seconds=5"])
    assert config.fingerprint() != other.fingerprint()
    assert config.fingerprint() == load_config(path, ["train.checkpoint_every=9"]).fingerprint()


def test_the_summary_and_the_reader_say_so(tmp_path: Path) -> None:
    from tether.report.runs import read_run

    path = make_project(tmp_path, method="lora")
    run = whole_run(str(path), ["train.max_seconds=1e-9", "train.steps=50"])
    summary = read_json(run.folder / "summary.json")
    assert (summary["steps"], summary["planned_steps"], summary["ended_by"]) == (1, 50, "max_seconds")
    assert any(
        "train.max_seconds ended its training after step 1 of 50" in p for p in read_run(run.folder).problems
    )
    other = whole_run(str(path), ["train.steps=3", f"output={tmp_path / 'whole'}"])
    assert (other.summary["planned_steps"], other.summary["ended_by"]) == (3, None)
