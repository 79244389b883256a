"""The hub source: a data set by its name, through the `datasets` library; no code of the data set is run."""

from __future__ import annotations

from typing import Any

from tether.data.config import DataConfig
from tether.data.named_splits import joined
from tether.data.rows import Rows
from tether.errors import RequestError
from tether.files import cache_dir


def read_hub(config: DataConfig) -> Rows:
    """Read `datasets.load_dataset(name, subset, revision=...)`, fetched once into the cache.

    `trust_remote_code` is never given, so a data set that is a script is refused by the library.

    Raises:
        RequestError: when there is no such data set, revision or subset, or no network to fetch it.

    Example:
        >>> config = DataConfig(source="hub", name="rotten_tomatoes", text="text", label="label")
        >>> len(read_hub(config))  # doctest: +SKIP
        10662
    """
    name = config.name or ""
    return joined(open_hub(name, config.subset, config.revision), config, f"the data set {name!r}", None)


def open_hub(name: str, subset: str | None, revision: str | None) -> Any:
    """The data set as the library gives it, a dictionary of splits.

    Raises:
        RequestError: as `read_hub`.
    """
    import datasets

    where = f"the data set {name!r}"
    if name in ("csv", "json", "parquet", "arrow", "text", "pandas", "imagefolder", "webdataset"):
        raise RequestError(
            f"data.name: {name!r} is a file format, not a data set; use source: table, folder or saved"
        )
    try:
        return datasets.load_dataset(name, subset, revision=revision, cache_dir=str(cache_dir() / "datasets"))
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as e:
        first = (str(e).splitlines() or [type(e).__name__])[0][:300]
        raise RequestError(
            f"{where} could not be loaded ({type(e).__name__}: {first}). Check the name, `subset` and "
            "`revision`, and that this machine has a network; without one, save it elsewhere with "
            "save_to_disk and use `source: saved`, or copy the cache folder of a machine that has it."
        ) from e
