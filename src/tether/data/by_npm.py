"""npm tarballs come through npm, or straight from the registry the user names where there is no npm."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path
from urllib.error import URLError

from tether.data.client import run_client
from tether.data.package import Package, elsewhere
from tether.errors import RequestError
from tether.progress import bar

# npm passes its settings to programs it starts in lower case; people write them in upper case.
REGISTRY = ("NPM_CONFIG_REGISTRY", "npm_config_registry")
CHUNK = 1 << 16


def download(package: Package, work: Path) -> Path:
    """Bring the package's tarball into `work` and give its path; nothing of it is installed or run.

    npm is the client because it knows the user's registry, proxy and credentials. Without npm the tarball is
    read from `$NPM_CONFIG_REGISTRY`, where that is set: tether names no registry of its own.

    Raises:
        RequestError: when there is neither npm nor a registry, or the download fails.
    """
    files = work / "files"
    files.mkdir()
    npm = shutil.which("npm")
    if npm is None:
        registry = next((os.environ[key] for key in REGISTRY if os.environ.get(key)), None)
        if registry is None:
            raise RequestError(
                f"{package.name} {package.version} is an npm package, but there is no npm on the PATH. "
                "Install Node.js, which brings npm, or set NPM_CONFIG_REGISTRY to your npm registry's address"
                f"{elsewhere(package)}"
            )
        return _straight(package, registry, files)
    spec = f"{package.name}@{package.version}"
    return run_client(
        [npm, "pack", spec, "--pack-destination", str(files), "--ignore-scripts", "--loglevel", "error"],
        package,
        work,
        {"npm_config_update_notifier": "false"},
        _blame,
        f"npm pack {spec}",
    )


def address(package: Package, registry: str) -> str:
    """Where a registry keeps a tarball: /@scope/name/-/name-version.tgz, by npm's convention.

    Example:
        >>> package = Package("@a/b", "1.0.0", "npm", 64 * "0", 1, "MIT")
        >>> address(package, "https://npm.example/")
        'https://npm.example/@a/b/-/b-1.0.0.tgz'
    """
    last = package.name.rpartition("/")[2]
    return f"{registry.rstrip('/')}/{package.name}/-/{last}-{package.version}.tgz"


def _straight(package: Package, registry: str, files: Path) -> Path:
    url = address(package, registry)
    if not url.startswith(("https://", "http://")):  # urllib would read file:// as well
        raise RequestError(
            f"NPM_CONFIG_REGISTRY: expected an address with https://, came {registry!r}; mend it"
        )
    target = files / f"{package.slug}.tgz"
    size = package.size_bytes / 1e6
    try:
        with (
            urllib.request.urlopen(url, timeout=60) as source,
            target.open("wb") as sink,
            bar(f"fetching {package.name} (MB)", size) as progress,
        ):
            # A byte more than pinned is enough to fail the check; an endless answer must not fill the disk.
            left = package.size_bytes + 1
            while left > 0 and (chunk := source.read(min(CHUNK, left))):
                sink.write(chunk)
                left -= len(chunk)
                progress.to(size - left / 1e6)
    except (URLError, TimeoutError, ConnectionError) as e:
        raise RequestError(
            f"could not fetch {package.name} {package.version} from {url}: {e}. Check the network and "
            f"NPM_CONFIG_REGISTRY{elsewhere(package)}"
        ) from e
    return target


def _blame(lines: list[str]) -> str:
    """The first two errors: npm gives a code, then what happened, then where its log lies."""
    errors = [line for line in lines if line.lower().startswith(("npm error", "npm err!"))]
    return " / ".join(errors[:2]) or (lines or [""])[-1]
