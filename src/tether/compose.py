"""From a config to the method that runs: composed, with the parts left out that the config names."""

from __future__ import annotations

from dataclasses import replace

from tether import methods
from tether.config import Config
from tether.cost import teachers_asked
from tether.data import DataBundle
from tether.methods import Method
from tether.methods.leave_out import left_out, without_shifts
from tether.shifts import Mixture, modality_in
from tether.supply import with_data_shifts


def method_of(config: Config) -> Method:
    """The config's method, before its data are known; its shifts are all still there.

    Raises:
        RequestError: an option or a part that the method has not.

    Example:
        >>> from tether.config import load_config
        >>> config = load_config("digits", ["method=rdft", "without=[teacher.task]"])
        >>> list(method_of(config).teachers)
        ['initial']
    """
    method = methods.build(config.method.name, config.method.options)
    return left_out(method, config.without, teachers_asked(method)) if config.without else method


def on_data(method: Method, config: Config, data: DataBundle) -> Method:
    """The method with the shifts that it draws from on these data, less those left out."""
    settled = with_data_shifts(method, data)
    if not any(part.startswith("shift.") for part in config.without):
        return settled
    return without_shifts(with_members(settled, data), config.without)


def with_members(method: Method, data: DataBundle) -> Method:
    """The method with mixtures that name what they draw from, the defaults too."""
    modality = modality_in(data.train)
    views = {
        n: replace(v, shifts=v.among(modality)) if isinstance(v, Mixture) and v.shifts is None else v
        for n, v in method.views.items()
    }
    return replace(method, views=views)
