"""The config: typed, frozen, every key with a default; an unknown key is an error with the nearest name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tether import methods
from tether.data import DataConfig
from tether.data.config_parts import ShiftSpec
from tether.errors import RequestError, nearest
from tether.evaluation.headline_metric import HEADLINE_METRICS
from tether.files import as_name
from tether.methods.leave_out import check_part
from tether.models.config import ModelConfig
from tether.training.recipe import TrainConfig


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EvaluateConfig(_Part):
    """What the final model is tested on, besides ID test and the natural OOD sets.

    Attributes:
        shifts: applied to ID test, each a name or {name: ..., options}; null takes the data's, else the
            defaults.
        severities: of those shifts, 1 to 5.
        limit: at most so many samples of ID test under each synthetic shift.
        batch_size: samples a forward pass.
        allow_seen: test on shifts whose family was trained on; such rows are marked as seen.
        metric: what the headline of a comparison is made of: accuracy, balanced_accuracy, macro_f1,
            worst_group or tenth_percentile. Everything is computed from the same predictions.
        efficiency: count operations and time the finished model; a few seconds and one training step.
    """

    shifts: tuple[ShiftSpec, ...] | None = None
    severities: tuple[int, ...] = (1, 3, 5)
    limit: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=100, ge=1)
    allow_seen: bool = False
    efficiency: bool = True
    metric: str = "accuracy"

    @field_validator("metric")
    @classmethod
    def _headline(cls, value: str) -> str:
        if value not in HEADLINE_METRICS:
            raise ValueError(nearest(value, HEADLINE_METRICS))
        return value

    @field_validator("severities")
    @classmethod
    def _one_to_five(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or any(s not in range(1, 6) for s in value):
            raise ValueError("severities are whole numbers from 1 to 5")
        return tuple(sorted(set(value)))


class MethodConfig(_Part):
    """A method's name and its options, all of them once resolved."""

    name: str = "rdft"
    options: Mapping[str, Any] = Field(default_factory=dict)


class Config(_Part):
    """Everything one run depends on.

    Attributes:
        without: parts of the method left out, such as term.feature, teacher.task, shift.augmix or finish;
            what `tether ablate` does (METHODS 1.13).

    Example:
        >>> load_config("digits", ["method=lora", "train.steps=10"]).train.steps
        10
    """

    model: ModelConfig
    data: DataConfig
    method: MethodConfig = MethodConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    seed: int = Field(default=0, ge=0)
    output: str | None = None
    without: tuple[str, ...] = ()

    @field_validator("without")
    @classmethod
    def _parts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({check_part(part) for part in value}))

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        raw = dict(raw)
        if isinstance(raw.get("model"), str):
            raw["model"] = {"name": raw["model"]}
        method = raw.get("method", "rdft")
        if isinstance(method, str):
            method = {"name": method}
        if isinstance(method, Mapping) and "options" not in method:
            options = {k: v for k, v in method.items() if k != "name"}
            method = {"name": method.get("name", "rdft"), "options": options}
        raw["method"] = method
        return raw

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        resolved = methods.options(self.method.name, self.method.options)
        object.__setattr__(self, "method", MethodConfig(name=self.method.name, options=resolved))
        return self

    def flat(self) -> dict[str, Any]:
        """The resolved config as it is written to YAML."""
        raw = self.model_dump(mode="json")
        raw["method"] = {"name": self.method.name, **raw["method"]["options"]}
        if not self.without:  # so that configs of before this key mean what they meant
            raw.pop("without")
        if self.data.preset is not None:  # a key that is given, even null, overrides the preset's own
            raw["data"] = self.data.model_dump(mode="json", exclude_unset=True)
        return raw

    def fingerprint(self) -> str:
        """Hash of everything that decides the results; where they are written and what is timed does not."""
        raw = self.flat()
        raw.pop("output")
        raw["train"] = self.train.deciding()
        raw["evaluate"].pop("metric")  # chosen over predictions that are there already
        raw["evaluate"].pop("efficiency")
        return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:16]

    def run_name(self) -> str:
        """Method and seed, and what was changed in the method, in a form fit for a folder."""
        defaults = methods.options(self.method.name, {})
        changed = [f"{k}-{v}" for k, v in self.method.options.items() if v != defaults.get(k)]
        less = [f"without-{part}" for part in self.without]
        parts = [self.method.name, *changed, *less, f"s{self.seed}"]
        return "_".join(map(as_name, parts))


def presets() -> dict[str, str]:
    """Preset name -> the first comment line of its file."""
    folder = files("tether") / "presets"
    found = {}
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.name.endswith(".yaml"):
            first = item.read_text(encoding="utf-8").splitlines()[0]
            found[item.name.removesuffix(".yaml")] = first.lstrip("# ")
    return found


def load_config(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Read a preset, a YAML file or a mapping, apply `key=value` overrides, check everything.

    Args:
        source: a preset's name, a path ending in .yaml or .yml, or the mapping itself.
        overrides: such as "train.steps=40"; values are YAML.

    Raises:
        RequestError: unknown preset or key (with the nearest name), missing file, wrong type.
    """
    raw = dict(source) if isinstance(source, Mapping) else _read(str(source))
    if isinstance(raw.get("method"), str):
        raw["method"] = {"name": raw["method"]}
    # Whole parts first: `method.alpha=1 method=rdft` means the same in either order.
    for override in sorted(overrides, key=lambda o: "." in o.partition("=")[0]):
        _apply(raw, override)
    return parse(raw)


def parse(raw: Mapping[str, Any]) -> Config:
    """Validate a raw mapping into a Config, with messages for people."""
    try:
        return Config.model_validate(raw)
    except ValidationError as e:
        raise RequestError(_explain(e)) from e


def with_values(config: Config, **changes: Any) -> Config:
    """The config with some top-level keys changed, checked again."""
    return parse({**config.flat(), **changes})


def as_yaml(value: Any) -> str:
    """A value as it stands in `key=value`."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("...").strip()


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as e:
            near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
            hint = f"; {nearest(path.name, near)}" if near else ""
            raise RequestError(f"config: cannot read {path}: {e.strerror}{hint}") from e
    elif name in presets():
        text = (files("tether") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise RequestError(
            f"config: {name!r} is neither a preset nor a path ending in .yaml; {nearest(name, presets())}"
        )
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise RequestError(f"config: {name} is not YAML: {e}") from e
    if not isinstance(raw, dict):
        raise RequestError(f"config: {name} should hold keys and values, it holds {type(raw).__name__}")
    return raw


def _apply(raw: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise RequestError(f"override {override!r}: expected key=value, such as train.steps=40")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise RequestError(f"override {override!r}: the value is not YAML: {e}") from e
    if isinstance(value, str) and _is_number(value):
        value = float(value)  # YAML 1.1 reads 1e-4 as text
    *path, last = key.split(".")
    if not path and last == "method" and isinstance(value, str):
        raw["method"] = {"name": value}  # another method's options would not fit
        return
    place = raw
    for part in path:
        inner = place.get(part)
        if isinstance(inner, str):
            inner = {("preset" if part == "data" else "name"): inner}
        place[part] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        place = inner
    place[last] = value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _explain(error: ValidationError) -> str:
    lines = []
    for e in error.errors():
        where = ".".join(str(part) for part in e["loc"])
        if e["type"] == "extra_forbidden":
            *parents, last = [str(p) for p in e["loc"]]
            known = _fields(parents)
            lines.append(f"{where}: there is no such key; {nearest(last, known)}")
        elif e["type"] == "missing":
            lines.append(f"{where}: this key is needed; {_needed(where)}")
        else:
            message = e["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {message[:1].lower()}{message[1:]}, got {e['input']!r}")
    return "\n".join(f"config: {line}" for line in lines)


def _needed(where: str) -> str:
    return {
        "model": "name a model, such as model: minilm-l6",
        "data": "name the data, such as data: sentiment",
    }.get(where, "see docs/configs")


def _fields(parents: Sequence[str]) -> list[str]:
    kind: type[BaseModel] = Config
    for parent in parents:
        inner = kind.model_fields[parent].annotation if parent in kind.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            kind = inner
    return list(kind.model_fields)
