"""Run a package client (pip, npm) and watch its folder grow."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tether.data.package import Package, elsewhere
from tether.errors import RequestError
from tether.progress import bar


def run_client(
    command: Sequence[str],
    package: Package,
    work: Path,
    environment: Mapping[str, str],
    blame: Callable[[list[str]], str],
    again: str,
) -> Path:
    """Run `command`, which brings one file into `work/files`, and give that file's path.

    Args:
        command: the client and its arguments.
        package: what it fetches.
        work: a temporary folder; its growth is the progress, for clients show none to a pipe.
        environment: laid over this process's own.
        blame: picks what to quote out of the lines of a failed client's output.
        again: the command a user can try by hand.

    Raises:
        RequestError: when the client fails or brings anything but one file.
    """
    log = work / "log.txt"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # a client that asks for a password would wait for ever
            stdout=out,
            stderr=out,
            env=os.environ | dict(environment),
        ) as client,
    ):
        try:
            _watch(client, work, package)
        except BaseException:  # Ctrl-C too: no download may go on behind the user's back
            client.kill()
            raise
    found = sorted((work / "files").iterdir())
    if client.returncode == 0 and len(found) == 1:
        return found[0]
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = blame([line for line in lines if line]) or "nothing"
    raise RequestError(
        f"could not fetch {package.name} {package.version} ({package.size_bytes / 1e6:.0f} MB); "
        f"{Path(again.split()[0]).name} said: {said}\nTo see why, try `{again}`{elsewhere(package)}"
    )


def _watch(client: subprocess.Popen[bytes], work: Path, package: Package) -> None:
    size = package.size_bytes / 1e6
    with bar(f"fetching {package.name} (MB)", size) as progress:
        while client.poll() is None:
            # Metadata that pip unpacks counts too, so the last stretch would overshoot: hold it below full.
            progress.to(min(_bytes_below(work) / 1e6, 0.99 * size))
            time.sleep(0.1)
        progress.to(size)


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # walk and stat both pass over what vanishes meanwhile
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                continue
    return total
