"""Every config that docs/data.md shows is one that tether takes, and every source has one."""

import re
from pathlib import Path

import pytest
import yaml

from tether.data import DataConfig
from tether.data.source_keys import SOURCE_KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(block)["data"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["source"])
def test_an_example_is_a_config(example):
    config = DataConfig.model_validate(example)
    assert {key for key in example if getattr(config, key) in (None, (), {})} == set()


def test_every_source_has_an_example():
    assert {example["source"] for example in EXAMPLES} == set(SOURCE_KEYS) - {"objects"}
