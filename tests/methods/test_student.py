"""Options that would do nothing are refused."""

from __future__ import annotations

import pytest

from tether import methods
from tether.errors import RequestError


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
