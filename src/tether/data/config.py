"""The `data:` part of a config: a preset's name, or a source with what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tether.data.config_parts import ID_SPLITS, SPLITS, Fractions, OodDomains, Part, ShiftNames, SplitTime
from tether.data.source_keys import SHARED, SOURCE_KEYS, check_keys
from tether.errors import RequestError, nearest

__all__ = ["ID_SPLITS", "SPLITS", "DataConfig", "Fractions", "OodDomains", "ShiftNames", "SplitTime"]

WITH_COLUMNS = ("table", "hub", "saved")  # sources whose columns the config has to name


class DataConfig(Part):
    """Where samples come from and how they are split.

    Attributes:
        preset: a packaged benchmark; then only the shared keys below may be given with it.
        source: "table" (CSV, JSONL or Parquet), "folder" (class folders), "hub" (a `datasets` name), "saved"
            (a folder `datasets` saved), "wilds", "imagenet", or "objects" (from Python only).
        path: the table, or the folder.
        name: of a data set on the hub.
        revision: of that data set, a branch, tag or commit.
        subset: of that data set, where it has several configurations.
        splits: the data set's own split for each of ours, as {id_test: test, ood_test/photo: photo}.
        dataset: of WILDS: camelyon17, fmow, iwildcam, civilcomments or amazon.
        variants: of ImageNet: v2, r, a, sketch, c or objectnet, each with its folder.
        text: the column with texts; or
        image: the column with pictures (paths relative to the table's folder, bytes, or {"bytes": ...}).
        label: the column with class names or integers.
        domain: the column that names each row's domain.
        split: the column with train, id_val, id_test, ood_val, ood_test.
        group: columns whose joint value must not lie on both sides of a split (a patient, a document).
        time: the column with dates, for `split_time`.
        classes: the class order, or the path of a text file with a class a line; by default sorted (integers
            by value).
        ood_domains: domains held out, when there is no split column.
        fractions: of the in-distribution rows, when there is no split column.
        split_time: from when on rows belong to which set: train early, test late.
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
    source: Literal["table", "folder", "hub", "saved", "wilds", "imagenet", "objects"] | None = None
    path: str | None = None
    name: str | None = None
    revision: str | None = None
    subset: str | None = None
    splits: dict[str, str] | None = None
    dataset: str | None = None
    variants: dict[str, str] | None = None
    text: str | None = None
    image: str | None = None
    label: str | None = None
    domain: str | None = None
    split: str | None = None
    group: tuple[str, ...] = ()
    time: str | None = None
    classes: tuple[str, ...] | str | None = None
    ood_domains: OodDomains | None = None
    fractions: Fractions | None = None
    split_time: SplitTime | None = None
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
            extra = sorted(self.model_fields_set - SHARED)
            if extra:
                raise RequestError(
                    f"data: the preset {self.preset!r} settles {', '.join(extra)} itself; remove those keys, "
                    "or remove `preset` and describe your own table"
                )
            return self._right_limits()
        if self.source is None:
            raise RequestError(
                "data: expected `preset: NAME` or `source: table` with its path; neither came. Known "
                f"sources: {', '.join(SOURCE_KEYS)}"
            )
        check_keys(self.source, {key: getattr(self, key) for key in self._told()})
        if self.source in WITH_COLUMNS and (self.text is None) == (self.image is None):
            came = "neither" if self.text is None else "both"
            raise RequestError(f"data: expected a `text` or an `image` column, {came} came; give one of them")
        return self._right_splits()._right_limits()

    def _told(self) -> set[str]:
        """Keys whose value is not the default: a resolved config names every key, and that says nothing."""
        return {key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default}

    def _right_splits(self) -> Self:
        roads = [key for key in ("split", "split_time", "ood_domains") if getattr(self, key) is not None]
        if "split" in roads and self.source != "objects" and (len(roads) > 1 or self.fractions):
            raise RequestError(
                "data: `split` names the sets row by row, so `ood_domains`, `split_time` and `fractions` "
                "have nothing to say; keep one of the two roads"
            )
        if roads == ["split_time", "ood_domains"]:
            raise RequestError("data: `split_time` and `ood_domains` both hold rows out; keep one of the two")
        if (self.time is None) != (self.split_time is None):
            raise RequestError(
                "data: `time`, the column with dates, and `split_time`, which says from when on rows belong "
                "to which set, go together; give both or neither"
            )
        if self.ood_domains is not None:
            if self.domain is None and self.source != "folder":
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
            if key.partition("/")[0] not in (*SPLITS, "stress"):
                raise RequestError(f"data.limit: unknown set {key!r}; {nearest(key, SPLITS)}")
            if n is not None and n < 1:
                raise RequestError(f"data.limit.{key}: expected at least 1 row, got {n}; null lifts a limit")
        return self
