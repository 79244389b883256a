"""Every wrong request: exit code 2, one message that helps, no traceback, nothing half-written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from project import all_rows, make_project, write_table
from tether.cli import main
from tiny import tiny_bert


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path, method="lora")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    code = main(list(arguments))
    err = capsys.readouterr().err
    assert code == 2, err
    assert "Traceback" not in err
    message = err[err.index("tether: ") :]
    return " ".join(message.split())


def untouched(config: Path) -> None:
    assert not (config.parent / "run").exists()
    assert not [p for p in config.parent.rglob(".*") if p.name.startswith(".run")]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.step=3", "train.step: there is no such key; did you mean 'steps'"),
        ("trian.steps=3", "trian: there is no such key; did you mean 'train'"),
        ("method=finetun", "there is no method 'finetun'; did you mean 'finetune'"),
        ("method.rnak=4", "lora has no such option; did you mean 'rank'"),
        ("method.rank=lots", "method.rank"),
        ("train.steps=-3", "train.steps: input should be greater than or equal to 1, got -3"),
        ("evaluate.severities=[7]", "severities are whole numbers from 1 to 5"),
        ("evaluate.shifts=[typoes]", "did you mean 'typos'"),
        ("evaluate.shifts=[pixelate]", "choose a shift made for texts"),
        ("data.label=lable", "did you mean 'label'"),
        ("data.lable=x", "did you mean 'label'"),
        ("data.path=nowhere.csv", "nowhere.csv"),
        ("model=./nowhere", "no such folder"),
        ("train.steps", "expected key=value"),
        ("data.on_error=maybe", "data.on_error"),
    ],
)
def test_a_wrong_key_or_value(
    config: Path, capsys: pytest.CaptureFixture[str], override: str, expected: str
) -> None:
    assert expected.lower() in refused(capsys, "train", str(config), override).lower()
    untouched(config)


def test_an_unknown_preset_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'digits'" in refused(capsys, "train", "digit")


def test_a_missing_config_file_names_the_nearest(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'config.yaml'" in refused(capsys, "train", str(config.with_name("confg.yaml")))


def test_a_config_that_is_not_yaml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("model: [")
    assert "is not YAML" in refused(capsys, "train", str(config))


def test_an_unknown_command_and_option_are_wrong_requests(capsys: pytest.CaptureFixture[str]) -> None:
    assert "trian" in refused(capsys, "trian")
    assert "--sedes" in refused(capsys, "compare", "digits", "--sedes", "3")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: [], "the table is empty"),
        (lambda rows: [{**r, "label": "yes"} for r in rows], "class"),
        (
            lambda rows: [*rows, {"text": "new", "label": "maybe", "domain": "press", "split": "ood_test"}],
            "maybe",
        ),
        (lambda rows: [*rows, {"text": "new", "label": "", "domain": "web", "split": "train"}], "label"),
        (lambda rows: [*rows, {"text": "new", "label": "yes", "domain": "web", "split": "dev"}], "dev"),
        (
            lambda rows: [*rows, {"text": "new", "label": "yes", "domain": "mail", "split": "ood_test"}],
            "mail",
        ),
    ],
    ids=["empty", "single class", "class only in test", "null label", "unknown split", "domain in both"],
)
def test_wrong_data(config: Path, capsys: pytest.CaptureFixture[str], change, expected: str) -> None:
    write_table(config.parent / "data.csv", change(all_rows()))
    assert expected in refused(capsys, "train", str(config))
    untouched(config)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    import numpy as np
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    table = []
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        table.append(
            {
                "image": f"pictures/{i}.png",
                "label": "ab"[i % 2],
                "split": ("train", "id_val", "id_test")[i % 3],
            }
        )
    with (tmp_path / "pictures.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, ["image", "label", "split"])
        writer.writeheader()
        writer.writerows(table)
    config = {
        "model": "efficientnet-lite0",
        "data": {
            "source": "table",
            "path": str(tmp_path / "pictures.csv"),
            "image": "image",
            "label": "label",
            "split": "split",
            "size": 32,
        },
        "method": "lora",
        "output": str(tmp_path / "run"),
    }
    path = tmp_path / "pictures.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_corrupt_picture_is_named(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures.parent / "pictures" / "7.png").write_bytes(b"not a picture")
    message = refused(capsys, "train", str(pictures))
    assert "7.png" in message
    assert "on_error=skip" in message
    untouched(pictures)


def test_skipping_a_corrupt_picture_counts_and_says_so(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures.parent / "pictures" / "6.png").write_bytes(b"not a picture")
    from tether.config import load_config
    from tether.data import load_data

    asked = ["data.on_error=skip", "method=linear_probe"]
    assert load_data(load_config(str(pictures), asked).data).skipped == 1
    tiny = tiny_bert(pictures.parent / "bert")  # a text model: refused later, after the data were read
    assert main(["train", str(pictures), *asked, f"model={tiny}"]) == 2
    assert "1 unreadable rows were left out" in " ".join(capsys.readouterr().err.split())


def test_a_text_model_on_pictures_is_refused(
    pictures: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "train", str(pictures), f"model={config.parent / 'bert'}")
    assert "expects texts, got pictures" in message


def test_an_output_that_is_something_else(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = config.parent / "run"
    run.mkdir()
    (run / "thesis.txt").write_text("years of work")
    assert "is not empty and holds no run" in refused(capsys, "train", str(config))
    assert (run / "thesis.txt").read_text() == "years of work"


def test_report_on_a_folder_without_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "summary.json" in refused(capsys, "report", str(tmp_path))


def test_predict_with_a_missing_input_names_the_nearest(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(config), "train.steps=1"]) == 0
    (config.parent / "new.txt").write_text("a good film")
    message = refused(capsys, "predict", str(config.parent / "run"), str(config.parent / "nwe.txt"))
    assert "did you mean 'new.txt'" in message


def test_predict_with_an_unfinished_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent / "half"
    folder.mkdir()
    (folder / "config.yaml").write_text(config.read_text())
    assert "without a finished model" in refused(capsys, "predict", str(folder), "-")


def test_compare_checks_every_name_before_it_trains(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = config.parent / "grid"
    message = refused(
        capsys, "compare", str(config), "--methods", "lora,rdtf", "--seeds", "1", "--output", str(output)
    )
    assert "did you mean 'rdft'" in message
    assert not output.exists()


def test_list_of_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'methods'" in refused(capsys, "list", "method")


def test_a_full_disk_says_so_and_leaves_no_half_file(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    assert "disk is full" in refused(capsys, "train", str(config))
    assert not (config.parent / "run" / "predictions.parquet").exists()
    assert not (config.parent / "run" / "summary.json").exists()


def test_a_shift_family_in_training_and_test_is_refused_unless_allowed(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = "method={name: aug_ce, shifts: [word_dropout]}"
    asked = ["train", str(config), method, "evaluate.shifts=[word_swap, typos]", "train.steps=1"]
    message = refused(capsys, *asked)
    assert "word_swap" in message
    untouched(config)
    assert main([*asked, "evaluate.allow_seen=true"]) == 0
    run = config.parent / "run"
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    # The very shift was not trained on, but one of its family: every row of it says so, and no other.
    assert {r["evalset"] for r in rows if r["seen"]} == {"word_swap"}
    assert json.loads((run / "summary.json").read_text())["seen_shifts"] == ["word_dropout", "word_swap"]
