"""The `data:` part of a config: a preset's name, or a table with its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tether.errors import RequestError, nearest

SPLITS = ("train", "id_val", "id_test", "ood_val", "ood_test")
ID_SPLITS = SPLITS[:3]
# What a preset has already settled.
TABLE_KEYS = (
    "source",
    "path",
    "text",
    "image",
    "label",
    "domain",
    "split",
    "group",
    "classes",
    "ood_domains",
    "fractions",
)


class _Part(BaseModel):
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


class OodDomains(_Part):
    """Which domains are held out: `val` may steer choices, `test` may steer nothing."""

    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


class Fractions(_Part):
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


class ShiftNames(_Part):
    """Synthetic shifts by name for training, validation and test; null leaves the defaults."""

    train: tuple[str, ...] | None = None
    val: tuple[str, ...] | None = None
    test: tuple[str, ...] | None = None


class DataConfig(_Part):
    """Where samples come from and how they are split.

    Attributes:
        preset: a packaged benchmark; then only the shared keys below may be given with it.
        source: how `path` is read; "table" is CSV, JSONL or Parquet.
        text: the column with texts; or
        image: the column with pictures (paths relative to the table's folder, bytes, or {"bytes": ...}).
        label: the column with class names or integers.
        domain: the column that names each row's domain.
        split: the column with train, id_val, id_test, ood_val, ood_test.
        group: columns whose joint value must not lie on both sides of a split (a patient, a document).
        classes: the class order; by default sorted (integers by value).
        ood_domains: domains held out, when there is no split column.
        fractions: of the in-distribution rows, when there is no split column.
        size: side in pixels to which pictures are resized; null leaves it to the model.
        limit: at most so many rows per set, drawn stratified: a split's name, or one set as
            "ood_test/<domain>"; null lifts a preset's own limit.
        on_error: "raise" at an unreadable picture or text, or "skip" it and count it.
        seed: draws splits and limits; a run's own seed is another one, so that runs share their data.
        shifts: names of synthetic shifts.

    Example:
        >>> DataConfig.model_validate("digits").preset
        'digits'
        >>> DataConfig(source="table", path="x.csv", text="text", label="label").size is None
        True
    """

    preset: str | None = None
    source: Literal["table"] | None = None
    path: str | None = None
    text: str | None = None
    image: str | None = None
    label: str | None = None
    domain: str | None = None
    split: str | None = None
    group: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    ood_domains: OodDomains | None = None
    fractions: Fractions | None = None
    size: int | None = Field(default=None, gt=0, le=4096)
    limit: dict[str, int | None] = Field(default_factory=dict)
    on_error: Literal["raise", "skip"] = "raise"
    seed: int = Field(default=0, ge=0)
    shifts: ShiftNames = ShiftNames()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """`data: digits` is the preset digits; `group: patient` is a list of one."""
        if isinstance(value, str):
            return {"preset": value}
        if isinstance(value, Mapping) and isinstance(value.get("group"), str):
            return {**value, "group": (value["group"],)}
        return value

    @model_validator(mode="after")
    def _one_road(self) -> Self:
        if self.preset is not None:
            extra = sorted(self.model_fields_set & set(TABLE_KEYS))
            if extra:
                raise RequestError(
                    f"data: the preset {self.preset!r} settles {', '.join(extra)} itself; remove those keys, "
                    "or remove `preset` and describe your own table"
                )
            return self._right_limits()
        if self.source is None:
            raise RequestError("data: expected `preset: NAME` or `source: table` with its path; neither came")
        missing = [key for key in ("path", "label") if getattr(self, key) is None]
        if missing:
            raise RequestError(f"data: source {self.source!r} needs {' and '.join(missing)}; add it")
        if (self.text is None) == (self.image is None):
            came = "neither" if self.text is None else "both"
            raise RequestError(f"data: expected a `text` or an `image` column, {came} came; give one of them")
        return self._right_splits()._right_limits()

    def _right_splits(self) -> Self:
        if self.split is not None and (self.ood_domains or self.fractions):
            raise RequestError(
                "data: `split` names the sets row by row, so `ood_domains` and `fractions` have nothing to "
                "say; keep one of the two roads"
            )
        if self.ood_domains is not None:
            if self.domain is None:
                raise RequestError("data.ood_domains needs `domain`, the column with each row's domain")
            both = sorted(set(self.ood_domains.val) & set(self.ood_domains.test))
            if both:
                raise RequestError(
                    f"data.ood_domains: {both} are in val and in test; a domain that steers choices cannot "
                    "test them. Keep each on one side."
                )
        return self

    def _right_limits(self) -> Self:
        for key, n in self.limit.items():
            if key.partition("/")[0] not in SPLITS:
                raise RequestError(f"data.limit: unknown set {key!r}; {nearest(key, SPLITS)}")
            if n is not None and n < 1:
                raise RequestError(f"data.limit.{key}: expected at least 1 row, got {n}; null lifts a limit")
        return self
