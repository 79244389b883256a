"""Who runs the points of a grid: this process, one after the other, or Ray's workers."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tether.allocator import keep_freed_memory
from tether.config import Config, parse
from tether.errors import Interrupted, RequestError, nearest
from tether.files import write_text
from tether.folder import ERROR
from tether.progress import Bar
from tether.run import train

EngineName = Literal["local", "ray"]
ENGINES: tuple[EngineName, ...] = ("local", "ray")
GRACE = 60.0  # seconds that interrupted workers have to save their state


@dataclass(frozen=True)
class Ended:
    """One run of the grid: its folder, its seconds, and why it failed; None when it is finished."""

    config: Config
    seconds: float
    why: str | None

    @property
    def folder(self) -> Path:
        """Where it is written."""
        return Path(self.config.output or ".")


def check_engine(name: str) -> EngineName:
    """The engine's name, refused before anything is loaded when it is unknown or not installed.

    Raises:
        RequestError: with what to install.
    """
    for known in ENGINES:
        if name == known:
            if name == "ray":
                _ray()
            return known
    raise RequestError(f"--engine: there is no engine {name!r}; {nearest(name, ENGINES)}")


def run_all(
    grid: Sequence[Config], engine: EngineName, workers: int | None, progress: Bar
) -> Iterator[Ended]:
    """Run every config; each as it ends. A failed one does not stop the others.

    Args:
        workers: of Ray, how many runs at a time; None for one a GPU, or one for two CPU cores.
        progress: says which run is under way.

    Raises:
        Interrupted: after Ctrl-C; what was under way has saved its state.
    """
    if engine == "ray":
        yield from _over_ray(grid, workers, progress)
        return
    for number, config in enumerate(grid, start=1):
        progress.note(f"compare: run {number} of {len(grid)}, {Path(config.output or '.').name}")
        began = time.monotonic()
        why = attempt(config)
        yield Ended(config, time.monotonic() - began, why)


def attempt(config: Config) -> str | None:
    """One run; why it failed, in a line, or None. The traceback of a failure is in `error.txt` of its folder.

    Raises:
        Interrupted: after Ctrl-C, with the state saved.
    """
    path = Path(config.output or ".") / ERROR
    try:
        train(config)
    except Interrupted:
        raise
    except Exception as e:
        with contextlib.suppress(RequestError, OSError):
            write_text(path, traceback.format_exc())
        why = str(e) if isinstance(e, RequestError) else f"{type(e).__name__}: {e} (traceback in {path})"
    else:
        path.unlink(missing_ok=True)
        return None
    gc.collect()  # the failed run's model goes before the next one is loaded
    return why


def _ray() -> Any:
    try:
        import ray
    except ImportError as e:
        raise RequestError("--engine ray needs Ray: pip install 'tether[ray]'") from e
    return ray


def _over_ray(grid: Sequence[Config], workers: int | None, progress: Bar) -> Iterator[Ended]:
    ray = _ray()
    under_way: dict[Any, Config] = {}
    ours = not ray.is_initialized()
    if ours:
        # The worker's own lines go to a log file a run; on the driver's terminal they would mix.
        ray.init(
            address=os.environ.get("RAY_ADDRESS"), include_dashboard=False, log_to_driver=False,
            configure_logging=False,
        )  # fmt: skip
    try:
        cpus, gpus = (int(ray.cluster_resources().get(k, 0)) for k in ("CPU", "GPU"))
        at_once = min(len(grid), workers or gpus or max(1, cpus // 2))
        share = {"num_cpus": max(1, cpus // at_once), "num_gpus": gpus / at_once if gpus else 0}
        if share["num_gpus"] > 1:
            share["num_gpus"] = 1
        task = ray.remote(max_retries=0, **share)(_work)
        environment = {k: v for k, v in os.environ.items() if k.startswith(("TETHER_", "HF_"))}
        # No more are handed over than run at once, so an interrupted grid has nothing queued.
        waiting = list(grid)
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                config = waiting.pop(0)
                under_way[task.remote(config.flat(), os.getcwd(), sys.path, environment)] = config
            names = [Path(c.output or ".").name for c in under_way.values()]
            said = f"compare: {', '.join(names)} on Ray, {len(waiting)} waiting"
            if progress.description != said:
                progress.note(said)
            done, _ = ray.wait(list(under_way), num_returns=1, timeout=5.0)
            for reference in done:
                config = under_way.pop(reference)
                try:
                    seconds, why = ray.get(reference)
                except Exception as e:  # the worker died: killed for its memory, or its machine went away
                    seconds, why = 0.0, f"its worker died: {type(e).__name__}: {e}".split("\n")[0]
                yield Ended(config, seconds, why)
    except KeyboardInterrupt as e:
        for reference in under_way:
            ray.cancel(reference, force=False)
        ray.wait(list(under_way), num_returns=len(under_way), timeout=GRACE)
        raise Interrupted(
            f"stopped with {len(under_way)} runs under way; their state is saved. "
            "Run the same command again to go on."
        ) from e
    finally:
        if ours:
            ray.shutdown()


def _work(
    raw: dict[str, Any], where: str, path: list[str], environment: dict[str, str]
) -> tuple[float, str | None]:
    """In a worker: the same run from the same folder, its lines in NAME.log beside the run's folder."""
    os.chdir(where)
    os.environ.update(environment)
    keep_freed_memory()
    sys.path[:] = [*path, *(p for p in sys.path if p not in path)]
    config = parse(raw)
    folder = Path(config.output or ".")
    folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (
        (folder.parent / f"{folder.name}.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),
    ):
        try:
            why = attempt(config)
        except Interrupted as e:
            why = str(e)
    return time.monotonic() - began, why
