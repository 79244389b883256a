from __future__ import annotations

import importlib.metadata

import pytest

from tether import methods
from tether.errors import RequestError
from tether.methods import Initial, Method, Saved, Trained
from tether.methods.finetune import finetune


def test_every_built_in_builds_and_has_a_summary() -> None:
    needed = {"dad": {"weights": "a/vqgan"}}  # nothing is loaded to build it
    for name in methods.names():
        assert isinstance(methods.build(name, needed.get(name, {})), Method)
        assert methods.summary(name).endswith((".", ")", ")."))


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean 'finetune'"):
        methods.build("finetun", {})


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(
        RequestError, match=r"method\.robust_weigth: rdft has no such option; did you mean 'robust_weight'"
    ):
        methods.build("rdft", {"robust_weigth": 1})


def test_a_method_without_options_says_so() -> None:
    with pytest.raises(RequestError, match="linear_probe has no such option; it takes none"):
        methods.build("linear_probe", {"rank": 4})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("rank", "many", "rank"), ("target", "blurred", "target"), ("mu", 2.0, r"\[0, 1\]")],
)
def test_a_wrong_value_is_refused(option: str, value: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        methods.build("rdft", {option: value})


def test_options_are_resolved_with_defaults() -> None:
    resolved = methods.options("wise_ft", {"alpha": "auto"})
    assert resolved == {"alpha": "auto", "variant": "end_to_end"}
    assert methods.options("lora", {}) == {
        "rank": 8, "lora_alpha": 16.0, "dropout": 0.0, "variant": "lora", "targets": "all",
        "start": "auto",
    }  # fmt: skip


def test_rdft_binds_the_teachers_it_needs() -> None:
    assert methods.build("rdft", {}).teachers == {"initial": Initial(), "task": Trained("finetune")}
    assert methods.build("rdft", {"alpha": 1.0}).teachers == {"initial": Initial()}
    assert methods.build("rdft", {"task_teacher": "runs/a"}).teachers["task"] == Saved("runs/a")


def test_rdft_has_the_four_losses_and_takes_the_weights_of_the_specification() -> None:
    weights = {t.name: t.weight for t in methods.build("rdft", {}).terms}
    assert weights == {"ce": 0.5, "kd_task": 0.5, "robust": 0.3, "feature": 0.03, "rar": 0.03}
    printed = {"robust_weight": 1.0, "feature_weight": 0.3, "rar_weight": 0.3, "target": "shifted"}
    weights = {t.name: t.weight for t in methods.build("rdft", printed).terms}
    assert weights == {"ce": 0.5, "kd_task": 0.5, "robust": 1.0, "feature": 0.3, "rar": 0.3}


def test_a_method_of_another_package_is_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("mine", "tether.methods.finetune:finetune", "tether.methods")
    monkeypatch.setattr("tether.plugins.entry_points", lambda group: [entry])
    assert "mine" in methods.names()
    assert methods.builder("mine") is finetune


def test_a_broken_entry_point_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("mine", "nowhere.at_all:method", "tether.methods")
    monkeypatch.setattr("tether.plugins.entry_points", lambda group: [entry])
    with pytest.raises(RequestError, match="mine"):
        methods.builder("mine")
