"""The parts of the `data:` config that several splits and sources share."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tether.errors import RequestError, nearest

SPLITS = ("train", "id_val", "id_test", "ood_val", "ood_test")
ID_SPLITS = SPLITS[:3]


class Part(BaseModel):
    """Frozen, and an unknown key is an error that names the nearest one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key in value:
                if key not in cls.model_fields:
                    raise RequestError(f"data: unknown key {key!r}; {nearest(str(key), cls.model_fields)}")
        return value


class OodDomains(Part):
    """Which domains are held out: `val` may steer choices, `test` may steer nothing."""

    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


class Fractions(Part):
    """How the in-distribution rows are divided when no column says so."""

    train: float = Field(default=0.7, gt=0, lt=1)
    id_val: float = Field(default=0.15, gt=0, lt=1)
    id_test: float = Field(default=0.15, gt=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.id_val + self.id_test
        if abs(total - 1) > 1e-6:
            raise RequestError(f"data.fractions: expected to add up to 1, they add up to {total:g}; mend one")
        return self


ShiftSpec = str | dict[str, Any]  # a shift's name, or {name: ..., option: ...}


class ShiftNames(Part):
    """Synthetic shifts by name for training, validation and test; null leaves the defaults."""

    train: tuple[ShiftSpec, ...] | None = None
    val: tuple[ShiftSpec, ...] | None = None
    test: tuple[ShiftSpec, ...] | None = None


Moment = float | datetime.datetime | datetime.date | str


class SplitTime(Part):
    """From when on rows belong to a set; rows before the first moment are train's.

    A moment is a date ("2016-01-01"), a quoted year ("2016"), or a share of all rows as a number between 0
    and 1: the quantile of the times at which the set begins. Each set ends where the next one begins, in the
    order of the attributes.

    Attributes:
        id_val: left out, its rows are drawn from train's by `fractions`.
        id_test: the same.
        ood_val: left out, synthetic shifts of id_val stand in.
        ood_test: the latest rows.
    """

    id_val: Moment | None = None
    id_test: Moment | None = None
    ood_val: Moment | None = None
    ood_test: Moment

    @model_validator(mode="after")
    def _shares(self) -> Self:
        for name, value in self:
            if isinstance(value, float) and not 0 < value < 1:
                raise RequestError(
                    f"data.split_time.{name}: expected a date or a share between 0 and 1, got {value:g}; "
                    "put a year in quotes"
                )
        return self
