from __future__ import annotations

import pytest

from tether.config import Config, load_config, parse, presets, with_values
from tether.errors import RequestError


@pytest.mark.parametrize("preset", list(presets()))
def test_a_resolved_preset_reads_back_as_itself(preset: str) -> None:
    config = load_config(preset, ["method=rdft", "seed=3"])
    again = parse(config.flat())
    assert again == config
    assert again.fingerprint() == config.fingerprint()
    moved = with_values(config, output="elsewhere")
    assert moved.fingerprint() == config.fingerprint()
    # A key that was not given must not come back as given: it would override the preset's own value.
    assert moved.data.model_fields_set == config.data.model_fields_set


def test_overrides_reach_every_depth_and_yaml_types() -> None:
    changes = ["train.lr=1e-4", "evaluate.severities=[5,1]", "method=rdft", "method.mu=null", "seed=2"]
    config = load_config("digits", changes)
    assert config.train.lr == pytest.approx(1e-4)
    assert config.evaluate.severities == (1, 5)
    assert config.method.options["mu"] is None
    assert config.seed == 2


def test_the_order_of_method_and_its_options_does_not_matter() -> None:
    a = load_config("digits", ["method.alpha=1", "method=rdft"])
    b = load_config("digits", ["method=rdft", "method.alpha=1"])
    assert a == b
    assert a.method.options["alpha"] == 1.0


def test_what_decides_the_numbers_changes_the_fingerprint() -> None:
    base = load_config("digits", ["method=lora"])
    for change in ("method.rank=4", "train.steps=5", "seed=1", "data.seed=1", "evaluate.severities=[1]"):
        assert load_config("digits", ["method=lora", change]).fingerprint() != base.fingerprint()
    for change in ("output=x", "train.checkpoint_every=7"):
        assert load_config("digits", ["method=lora", change]).fingerprint() == base.fingerprint()


def test_run_names_tell_variants_apart() -> None:
    assert load_config("digits", ["method=rdft"]).run_name() == "rdft_s0"
    name = load_config("digits", ["method=rdft", "method.alpha=1", "seed=2"]).run_name()
    assert name == "rdft_alpha-1.0_s2"


def test_a_mapping_is_a_config_too() -> None:
    config = load_config({"model": "minilm-l6", "data": "sentiment", "method": {"name": "lora", "rank": 4}})
    assert isinstance(config, Config)
    assert config.method.options["rank"] == 4


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"data": "digits"}, "model: this key is needed"),
        ({"model": "x"}, "data: this key is needed"),
        ({"model": {"name": "x", "poling": "mean"}, "data": "digits"}, "did you mean 'pooling'"),
        ({"model": "x", "data": "digits", "seed": -1}, "seed: input should be greater"),
        ({"model": "x", "data": {"preset": "digits", "path": "y.csv"}}, "settles path itself"),
    ],
)
def test_messages(raw: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_config(raw)
