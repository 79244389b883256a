"""Options that would do nothing are refused."""

from __future__ import annotations

import pytest

from tether import methods
from tether.errors import RequestError
from tether.methods import Initial, Trained


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"student": "full", "variant": "dora", "mu": None}, "variant"),
        ({"student": "last_blocks", "dropout": 0.1}, "dropout"),
        ({"student": "full", "targets": "qv"}, "targets"),
        ({"student": "lora", "blocks": 2}, "blocks"),
    ],
)
def test_an_option_of_another_student_is_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(RequestError, match=rf"method\.{named}: means nothing for student="):
        methods.build("rdft", options)


def test_those_that_fit_are_taken() -> None:
    assert methods.build("rdft", {"student": "last_blocks", "blocks": 2}).tuning.name == "last blocks"
    assert methods.build("rdft", {"dropout": 0.1, "targets": "qv"}).tuning.name == "lora"


@pytest.mark.parametrize("name", ["rdft", "hybrid_kd", "kd_clean"])
def test_a_random_head_leaves_the_probe_as_the_initial_teacher(name: str) -> None:
    options = {"start": "random"} | ({"mu": None} if name == "rdft" else {})
    method = methods.build(name, options)
    assert method.start == "random"
    assert method.teachers["initial"] == Trained("linear_probe")
    assert methods.build(name, {}).teachers["initial"] == Initial()


def test_a_random_head_has_no_way_back_to_merge() -> None:
    with pytest.raises(RequestError, match=r"this one starts at random.*mu null"):
        methods.build("rdft", {"start": "random"})
