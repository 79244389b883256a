"""What cannot run is told before anything is trained, and the model is loaded once for all methods."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import make_project
from tether import methods, runnable
from tether.cli import main
from tether.config import load_config
from tether.cost import cost
from tether.errors import RequestError
from tether.grid import expanded


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture(autouse=True)
def _forget():
    yield
    runnable.forget()


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["method=flyp"], "text tower"),
        (["method=zero_shot", "model.pooling=cls"], "text tower"),
        (["method=zero_shot"], None),
        (["method=aug_ce", "method.shifts=[augmix]"], "augmix: expected a batch of images, got texts"),
        (["method=aug_ce", "method.shifts=[typos]"], "typo"),  # trained on and tested on
        (["method=rdft", "method.teacher_head=mlm"], "masked-word head"),
        (["method=rdft", "method.rar_rows=tokens"], None),
        (["method=rdft", "method.teacher_head=anchor"], None),
        (["method=vpt"], None),
    ],
)
def test_the_reason(config: Path, overrides: list[str], why: str | None) -> None:
    found = runnable.can_run(load_config(str(config), overrides))
    if why is None:
        assert found is None
    else:
        assert found is not None
        assert why in found


def test_the_model_is_loaded_once_for_all_methods(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tether.models.load import load_backbone

    loaded: list[str] = []

    def count(wanted):
        loaded.append(wanted.name)
        return load_backbone(wanted)

    monkeypatch.setattr("tether.scene.load_backbone", count)
    for name in ("lora", "finetune", "flyp", "vpt", "rdft"):
        runnable.can_run(load_config(str(config), [f"method={name}"]))
    assert len(loaded) == 1
    runnable.can_run(load_config(str(config), ["method=lora", "model.max_length=8"]))
    assert len(loaded) == 2


def test_what_refuses_every_method_is_an_error_and_no_skip(config: Path) -> None:
    with pytest.raises(RequestError, match="choose a shift made for texts"):
        runnable.can_run(load_config(str(config), ["method=lora", "evaluate.shifts=[pixelate]"]))


def test_a_method_asked_for_by_name_is_refused_before_anything_is_trained(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = config.parent / "grid"
    asked = ["compare", str(config), "--seeds", "1", "--output", str(output)]
    assert main([*asked, "--methods", "lora,flyp"]) == 2
    assert "flyp cannot run here, nothing was trained" in capsys.readouterr().err
    assert main([*asked, "--methods", "flyp,all"]) == 2
    assert not output.exists()


def price(name: str) -> float | None:
    try:
        return sum(cost(name).relative())
    except RequestError:
        return None


def test_all_brings_every_method_cheap_ones_first() -> None:
    names = expanded(["all"])
    assert sorted(names) == sorted(methods.names())
    assert set(names[:2]) == {"linear_probe", "zero_shot"}  # they train nothing
    assert names[2] == "finetune"
    counted = [n for n in names[3:] if price(n) is not None]
    assert names[3:][: len(counted)] == counted  # then those without a price: they need their kind of model
    assert {"flyp", "car_ft", "vpt"} <= set(names[3 + len(counted) :])
    assert [price(n) for n in counted] == sorted(price(n) for n in counted)
    assert expanded(["rdft", "all"])[0] == "rdft"
    assert sorted(expanded(["rdft", "all"])) == sorted(methods.names())


def test_skips_are_listed_and_the_exit_code_is_0(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tether.methods.names", lambda: ["flyp", "linear_probe"])
    output = config.parent / "grid"
    asked = ["compare", str(config), "--seeds", "1", "--methods", "all", "--output", str(output)]
    assert main([*asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in said["rows"]] == ["linear_probe"]
    assert "text tower" in said["skipped"]["flyp"]
    assert said["failed"] == {}
    assert sorted(p.name for p in output.iterdir() if p.is_dir()) == ["linear-probe_s0"]
    assert main(asked) == 0
    assert "skipped: flyp: method: training both towers needs" in " ".join(capsys.readouterr().out.split())
    assert "skipped: flyp: " in (output / "report.html").read_text()
