"""The rows of an ablation, read off a method's value: its parts left out, and its controls (METHODS 1.13)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tether import methods
from tether.compose import method_of, on_data, with_members
from tether.config import Config, load_config, with_values
from tether.cost import cost
from tether.data import DataBundle, load_data
from tether.errors import RequestError
from tether.finish import keep
from tether.methods import Method
from tether.methods.leave_out import families
from tether.prediction import softmax_main
from tether.runnable import can_run, forget
from tether.shifts import Mixture
from tether.supply import with_data_shifts

FULL = "full"
CONTROLS = ("aug_ce", "wise_ft", "finetune", "lora")
MATCHED = "lora"  # the control that also gets the steps that the whole method's work would pay for
KINDS = ("term", "teacher", "shift", "after", "option", "control")
# Options that say what the student and its views are; a control that has them gets the method's.
SHARED = ("shifts", "severities", "views", "rank", "lora_alpha", "dropout", "targets", "variant")


@dataclass(frozen=True)
class Ablated:
    """One row: what is run instead of the whole method.

    Attributes:
        name: such as "without feature".
        kind: "full", or one of `KINDS`; "after" is what stands beside the steps: finish, controller,
            the rule of prediction.
        method: the name of the method that is run.
        options: of that method.
        without: parts left out.
        steps: where they are not the config's own.
        same: other names of this very row: leaving out a teacher may be leaving out the term that asks it.
    """

    name: str
    kind: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    steps: int | None = None
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The rows that will run, and why some will not.

    Attributes:
        base: the config of the whole method.
        rows: the full one first.
        skipped: row name -> why it cannot run.
        notes: what the reader of the table should know.
    """

    base: Config
    rows: tuple[Ablated, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]


def plan_rows(
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    rows: Sequence[str] = (),
    controls: Sequence[str] = CONTROLS,
) -> Plan:
    """Read the rows off the method's value, before anything is trained; the data are loaded for that.

    Args:
        config: a preset's name, a YAML path or a mapping; its method is the one that is taken apart.
        overrides: "key=value".
        rows: kinds (`KINDS`) or patterns of names such as "without*"; () for all. The full row is always run.
        controls: other methods on the same data and steps.

    Raises:
        RequestError: a wrong config, or `rows` that ask for something that no row is called.
    """
    base = load_config(config, overrides)
    if base.without:
        raise RequestError("ablate: expected the whole method, got one with `without`; leave it out")
    data = load_data(base.data)
    skipped: dict[str, str] = {}
    found = [Ablated(FULL, FULL, base.method.name, base.method.options)]
    wanted = [
        *_left_out(base, data),
        *_options(base),
        *_controls(base, controls),
        *_matched(base, data, controls, skipped),
    ]
    _check_wanted(rows, wanted)
    if (why := can_run(base)) is not None:
        raise RequestError(f"ablate: {base.method.name} cannot run here: {why}")
    whole = _content(method_of(base), base, data)
    seen = {whole: 0}
    for row in wanted:
        if rows and not any(row.kind == r or fnmatch(row.name, r) for r in rows):
            continue
        try:
            resolved = config_of(base, row)
            content = _content(method_of(resolved), resolved, data)
        except RequestError as e:
            skipped[row.name] = str(e)
            continue
        if row.without and content == whole:
            continue  # it has no such part
        if row.without and content in seen:
            first = found[seen[content]]
            found[seen[content]] = _also(first, row.name)
            continue
        if (why := can_run(resolved)) is not None:
            skipped[row.name] = why
            continue
        if row.without:
            seen[content] = len(found)
        found.append(row)
    forget()
    return Plan(base, tuple(found), skipped, tuple(_notes(base)))


def config_of(base: Config, row: Ablated, **changes: Any) -> Config:
    """The row's config: the base's, with the row's method, parts and steps."""
    train = base.train.model_dump(mode="json") | ({} if row.steps is None else {"steps": row.steps})
    method = {"name": row.method, **row.options}
    return with_values(base, method=method, without=list(row.without), train=train, **changes)


def _left_out(base: Config, data: DataBundle) -> list[Ablated]:
    """Each term, teacher and shift family out, each family alone, each part beside the steps."""
    method = with_members(with_data_shifts(method_of(base), data), data)

    def row(name: str, kind: str, *parts: str) -> Ablated:
        return Ablated(name, kind, base.method.name, base.method.options, parts)

    rows = [row(f"without {t.name}", "term", f"term.{t.name}") for t in method.terms if t.weight != 0]
    rows += [row(f"without teacher {t}", "teacher", f"teacher.{t}") for t in method.teachers]
    if len(method.teachers) > 1:
        rows.append(row("without any teacher", "teacher", *(f"teacher.{t}" for t in method.teachers)))
    shifts = families(method)
    if len(shifts) > 1:
        rows += [row(f"without shift {f}", "shift", f"shift.{f}") for f in shifts]
        rows += [row(f"{f} alone", "shift", *(f"shift.{g}" for g in shifts if g != f)) for f in shifts]
    parts = {
        "finish": method.finish is not keep,
        "average": method.average is not None,
        "blend": method.blend is not None,
        "controller": method.controller is not None,
        "predict": method.predict.name != softmax_main.name,
    }
    return rows + [row(f"without {part}", "after", part) for part, has in parts.items() if has]


def _options(base: Config) -> list[Ablated]:
    """Rows that the method's own file declares, less those that change nothing."""
    name, options = base.method.name, base.method.options
    rows = []
    for title, changes in methods.ablations(name).items():
        changed = methods.options(name, {**options, **changes})
        if changed != dict(options):
            rows.append(Ablated(title, "option", name, changed))
    return rows


def _controls(base: Config, names: Sequence[str]) -> list[Ablated]:
    own = _types(base.method.name)
    rows = []
    for name in names:
        takes = _types(name)  # an option may mean something else there
        shared = {k: base.method.options[k] for k in SHARED if k in own and takes.get(k) == own[k]}
        rows.append(Ablated(name, "control", name, methods.options(name, shared)))
    return [row for row in rows if row.method != base.method.name]


def _types(name: str) -> dict[str, Any]:
    found = inspect.signature(methods.builder(name), eval_str=True).parameters
    return {key: p.annotation for key, p in found.items()}


def _matched(
    base: Config, data: DataBundle, controls: Sequence[str], skipped: dict[str, str]
) -> list[Ablated]:
    """Plain LoRA for as many steps as the whole method's forwards would pay for, its teachers' included."""
    plain = [row for row in _controls(base, controls) if row.method == MATCHED]
    if not plain:
        return []
    name = f"{MATCHED}, as much work"
    try:
        own, less = cost(base.method.name, base.method.options), cost(MATCHED, plain[0].options)
    except RequestError as e:
        skipped[name] = f"its cost cannot be counted: {e}"
        return []
    steps = base.train.total_steps(len(data.train))
    matched = round(steps * own.total / less.total)
    return [Ablated(name, "control", MATCHED, plain[0].options, steps=matched)] if matched > steps else []


def _content(method: Method, config: Config, data: DataBundle) -> tuple[Any, ...]:
    """What tells two reduced forms of one method apart."""
    settled = on_data(method, config, data)
    shifts = with_members(settled, data).views.values()
    return (
        method.start,
        tuple((t.name, t.weight) for t in method.terms if t.weight != 0),
        tuple(method.teachers),
        tuple(s.name for v in shifts if isinstance(v, Mixture) for s in v.shifts or ()),
        method.finish is keep,
        *(part is None for part in (method.average, method.blend, method.controller)),
        method.predict.name,
    )


def _also(row: Ablated, name: str) -> Ablated:
    return Ablated(row.name, row.kind, row.method, row.options, row.without, row.steps, (*row.same, name))


def _check_wanted(rows: Sequence[str], known: Sequence[Ablated]) -> None:
    for wanted in rows:
        if wanted not in KINDS and not any(fnmatch(row.name, wanted) for row in known):
            names = ", ".join(row.name for row in known)
            raise RequestError(
                f"--rows: no row is called {wanted!r}; kinds: {', '.join(KINDS)}; rows: {names}"
            )


def _notes(base: Config) -> list[str]:
    notes = []
    if base.train.patience is not None:
        notes.append("train.patience ends runs early, so rows may differ in steps too.")
    return notes
