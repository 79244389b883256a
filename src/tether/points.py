"""The points of a grid: what `--methods`, `--grid` and `--seeds` mean, as one config a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tether import methods
from tether.asked import stem_of
from tether.config import Config, as_yaml, load_config, with_values
from tether.errors import RequestError, nearest
from tether.files import as_name

Grid = Mapping[str, Sequence[Any]]  # config key -> its values
LONGEST = 120  # characters of a run's folder name
_OPEN, _CLOSE = "([{", ")]}"


def split(text: str) -> list[str]:
    """The parts of a list, separated by commas outside of brackets.

    Raises:
        RequestError: a bracket that is not closed.

    Example:
        >>> split("rdft, rdft(alpha=1, shifts=[augmix])")
        ['rdft', 'rdft(alpha=1, shifts=[augmix])']
    """
    parts, depth = [""], 0
    for c in text:
        depth += (c in _OPEN) - (c in _CLOSE)
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
        if depth < 0:
            break
    if depth != 0:
        raise RequestError(f"expected every bracket to be opened and closed, got {text!r}")
    return [part.strip() for part in parts if part.strip()]


def method_of(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a method as it is written on the command line: `rdft` or `rdft(alpha=1)`.

    Raises:
        RequestError: an unknown name or option, or another form.

    Example:
        >>> method_of("rdft(alpha=1, mu=null)")
        ('rdft', {'alpha': 1, 'mu': None})
    """
    name, bracket, rest = spec.strip().partition("(")
    given: dict[str, Any] = {}
    if bracket:
        if not rest.endswith(")"):
            raise RequestError(f"method {spec!r}: expected a form such as rdft(alpha=1, mu=null)")
        for part in split(rest[:-1]):
            key, sign, value = part.partition("=")
            if not sign:
                raise RequestError(f"method {spec!r}: expected option=value, got {part!r}; such as alpha=1")
            given[key.strip()] = _value(value, f"method {spec!r}")
    methods.options(name.strip(), given)
    return name.strip(), given


def grid_of(lines: Sequence[str]) -> dict[str, list[Any]]:
    """The axes of a grid as they are written on the command line: `train.lr_scale=0.5,1`.

    Example:
        >>> grid_of(["method.alpha=0.5,1", "train.steps=100"])
        {'method.alpha': [0.5, 1], 'train.steps': [100]}
    """
    found: dict[str, list[Any]] = {}
    for line in lines:
        key, sign, text = line.partition("=")
        values = [_value(part, f"--grid {line!r}") for part in split(text)]
        if not sign or not key.strip() or not values:
            raise RequestError(f"--grid {line!r}: expected key=value,value, such as train.lr_scale=0.5,1")
        if key.strip() in found:
            raise RequestError(f"--grid: {key.strip()} is given twice; list all of its values once")
        found[key.strip()] = values
    return found


@dataclass(frozen=True)
class GridFile:
    """What a grid's YAML file says; None where it does not."""

    methods: tuple[str, ...] | None
    seeds: int | tuple[int, ...] | None
    grid: Grid


def read_grid(path: Path) -> GridFile:
    """Read a file with `methods:`, `seeds:` and `grid:`.

    Methods are names, forms such as `rdft(alpha=1)`, or mappings such as {name: rdft, alpha: 1}.

    Raises:
        RequestError: no such file, not YAML, an unknown key, a value of another shape.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RequestError(f"--grid: cannot read {path}: {e.strerror}") from e
    except yaml.YAMLError as e:
        raise RequestError(f"--grid: {path} is not YAML: {e}") from e
    known = ("methods", "seeds", "grid")
    if not isinstance(raw, dict):
        raise RequestError(f"--grid: expected {path} to hold {', '.join(known)}, got {type(raw).__name__}")
    for key in raw:
        if key not in known:
            raise RequestError(f"--grid: {path} has {key!r}; {nearest(str(key), known)}")
    axes, seeds, names = raw.get("grid") or {}, raw.get("seeds"), raw.get("methods")
    if not isinstance(axes, dict) or not all(isinstance(v, list) and v for v in axes.values()):
        raise RequestError(f"--grid: expected `grid` in {path} to map each key to a list of values")
    listed = isinstance(seeds, list) and all(isinstance(s, int) for s in seeds)
    if not (seeds is None or isinstance(seeds, int) or listed):
        raise RequestError(f"--grid: expected `seeds` in {path} to be a count or a list, got {seeds!r}")
    if names is not None and not isinstance(names, list):
        raise RequestError(f"--grid: expected `methods` in {path} to be a list, got {names!r}")
    return GridFile(
        None if names is None else tuple(_spec(m, path) for m in names),
        tuple(seeds) if isinstance(seeds, list) else seeds,
        axes,
    )


def plan(
    config: str | Path | Mapping[str, Any],
    specs: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    output: str | None = None,
    grid: Grid | None = None,
) -> list[Config]:
    """The resolved config of every run, checked before any is started; all of one seed come first.

    An axis `method.OPTION` belongs to the methods that have this option and do not set it themselves; the
    others run once.

    Raises:
        RequestError: nothing to run, a wrong name, option or value, an axis that no method has.
    """
    if not specs or not seeds:
        raise RequestError("compare: expected at least one method and one seed")
    parsed = [method_of(spec) for spec in specs]
    axes = dict(grid or {})
    _check_axes(axes, [name for name, _ in parsed])
    root = Path(output or f"runs/compare-{stem_of(config)}")
    found: dict[str, Config] = {}
    for seed in seeds:
        for name, options in parsed:
            for changes in _products(name, options, axes):
                asked = [f"method={name}", f"seed={seed}"]
                asked += [f"{k}={as_yaml(v)}" for k, v in {**changes, **_prefixed(options)}.items()]
                one = load_config(config, [*overrides, *asked])
                other = {k: v for k, v in changes.items() if not k.startswith("method.")}
                folder = root / _folder_name(one, other)
                found.setdefault(one.fingerprint(), with_values(one, output=str(folder)))
    return list(found.values())


def _products(name: str, options: Mapping[str, Any], axes: Grid) -> Iterator[dict[str, Any]]:
    """The changes of each point that this method has."""
    own = set(methods.options(name, {})) - set(options)
    keys = [k for k in axes if not k.startswith("method.") or k.removeprefix("method.") in own]
    for values in itertools.product(*(axes[k] for k in keys)):
        yield dict(zip(keys, values, strict=True))


def _check_axes(axes: Grid, names: Sequence[str]) -> None:
    for key in axes:
        option = key.removeprefix("method.")
        if key in ("method", "seed", "output"):
            raise RequestError(f"--grid: {key} is no axis; use --methods, --seeds or --output")
        known = sorted({o for name in names for o in methods.options(name, {})})
        if key.startswith("method.") and option not in known:
            raise RequestError(f"--grid: none of these methods has {option!r}; {nearest(option, known)}")


def _prefixed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"method.{k}": v for k, v in options.items()}


def _folder_name(config: Config, changes: Mapping[str, Any]) -> str:
    """Method, what was changed, seed; a name that would be too long ends in the config's fingerprint."""
    name = config.run_name().removesuffix(f"_s{config.seed}")
    parts = [name, *(as_name(f"{k}-{v}") for k, v in changes.items()), f"s{config.seed}"]
    whole = "_".join(parts)
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 20]}_{config.fingerprint()}"


def _spec(given: Any, path: Path) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, dict) and isinstance(given.get("name"), str):
        options = ", ".join(f"{k}={as_yaml(v)}" for k, v in given.items() if k != "name")
        return f"{given['name']}({options})"
    raise RequestError(
        f"--grid: {path}: expected a method's name or {{name: ..., option: ...}}, got {given!r}"
    )


def _value(text: str, where: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise RequestError(f"{where}: {text.strip()!r} is not YAML") from e
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-4 as text
        except ValueError:
            return value
    return value
