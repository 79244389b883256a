"""A run's folder: begun once the request is known to be right, and recognised when it is asked for again."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from tether.config import Config, parse
from tether.data import DataBundle
from tether.errors import RequestError
from tether.files import disk_errors, read_json, write_json, write_text
from tether.finish import Blended, Finished
from tether.progress import say

CONFIG = "config.yaml"
ERROR = "error.txt"  # the traceback of a run of a grid that failed
LOCK = ".lock"
SHOWN = 4  # differences that a message names


def default_folder(config: Config) -> Path:
    """runs/DATA-METHOD_sSEED."""
    data = config.data.preset or Path(config.data.path or "data").stem
    return Path("runs") / f"{data}-{config.run_name()}"


def written_config(folder: Path) -> Config:
    """The config a folder was made from.

    Raises:
        RequestError: when the folder is no run.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise RequestError(f"expected a tether run with a {CONFIG}, but {folder} has none")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as e:
        raise RequestError(f"{path} is not YAML: {e}") from e
    try:
        return parse(raw)
    except RequestError as e:
        raise RequestError(
            f"{path}: {e}. If another version of tether wrote it, choose another output, or remove that "
            "folder"
        ) from e


def _check_same(folder: Path, config: Config) -> None:
    written = written_config(folder)
    if written.fingerprint() == config.fingerprint():
        return
    anywhere = {"output": None}  # where a run lies is no part of what it is
    differ = _differences(written.flat() | anywhere, config.flat() | anywhere)
    more = f" and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
    raise RequestError(
        f"{folder} holds a run of another config ({'; '.join(differ[:SHOWN])}{more}); "
        "choose another output, or remove that folder"
    )


def _differences(there: Any, asked: Any, key: str = "") -> list[str]:
    """Every value that differs, by its key as one writes it on the command line."""
    if isinstance(there, dict) and isinstance(asked, dict):
        names = [*there, *(k for k in asked if k not in there)]
        return [
            found
            for name in names
            for found in _differences(there.get(name), asked.get(name), f"{key}.{name}" if key else str(name))
        ]
    return [] if there == asked else [f"{key}: {there} there, {asked} asked for"]


def is_done(folder: Path, config: Config) -> bool:
    """Whether this very run is finished there.

    Raises:
        RequestError: when the folder holds something else.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise RequestError(f"output: expected a folder, {folder} is a file")
    if not (folder / CONFIG).is_file():
        if any(path.name != ERROR for path in folder.iterdir()):
            raise RequestError(f"output: {folder} is not empty and holds no run; choose another output")
        return False
    _check_same(folder, config)
    return (folder / "summary.json").is_file()


def begin(folder: Path, config: Config) -> None:
    """Make the folder with its resolved config; nothing is written before this."""
    if not (folder / CONFIG).is_file():
        command = f"# tether train {folder / CONFIG}\n"
        write_text(folder / CONFIG, command + yaml.safe_dump(config.flat(), sort_keys=False))


def summary_of_main(folder: Path) -> Any:
    """Wait until the main process has finished the run: for the helpers of a run in several processes.

    They look at the disk: a collective would time out during a long stress test.
    """
    while not (folder / "summary.json").is_file():
        time.sleep(1.0)
    return read_json(folder / "summary.json")


@contextlib.contextmanager
def only_one(folder: Path, is_main: bool = True) -> Iterator[None]:
    """Let one process at a time write this run; the others wait, and then find it finished.

    Args:
        is_main: False for the helpers of a run in several processes, which must not wait for their main one.
    """
    if not is_main:
        yield
        return
    lock = FileLock(folder / LOCK)
    with disk_errors(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{folder} is being written by another process; waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_data(folder: Path, data: DataBundle) -> None:
    """`classes.json`, names in the order of the labels, and `data.json`, what the run's data were."""
    write_json(folder / "classes.json", list(data.classes))
    about = {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "picture_size": data.train.read.size,
        "sizes": {name: len(examples) for name, examples in data.sets().items()},
        "skipped": data.skipped,
        "dropped": data.dropped,
    }
    write_json(folder / "data.json", about)


def write_merge(folder: Path, finished: Finished) -> None:
    """`merge.jsonl`: validation scores along the interpolation, with the chosen one marked."""
    if finished.chosen is None:
        return
    rows = [
        {"mu": mu, "id_val": s.id_val, "ood_val": s.ood_val, "chosen": mu == finished.chosen}
        for mu, s in finished.curve
    ]
    write_text(folder / "merge.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def write_blend(folder: Path, rows: Sequence[Blended]) -> None:
    """`blend.jsonl`: each ingredient, its own scores, those of the mix with it, whether it stayed."""
    if rows:
        write_text(folder / "blend.jsonl", "".join(json.dumps(asdict(row)) + "\n" for row in rows))
