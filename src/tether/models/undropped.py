"""What a network computes before dropout first acts is the same in every Monte-Carlo pass: it runs once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tether.models.instead import Forward, instead


@dataclass(eq=False)
class Repeated:
    """Some modules of a network over several passes.

    Attributes:
        calls: module -> what each call of the first pass gave, None for one that dropout preceded.
        answers: module -> what it gives in all later passes.
        settled: whether the first pass is over; later ones note and hold nothing.
    """

    calls: dict[nn.Module, list[_Given | None]] = field(default_factory=dict)
    answers: dict[nn.Module, Any] = field(default_factory=dict)
    settled: bool = False

    def settle(self) -> None:
        """Call it after the first pass: from now on what was the same is not computed again.

        Left to run are modules that were called more than once, that gave something else than tensors, whose
        output was then changed in place, or inside which a hook listens.
        """
        for module, given in self.calls.items():
            if len(given) == 1 and given[0] is not None and given[0].unchanged():
                self.answers[module] = given[0].out
        self.calls, self.settled = {}, True


def _heard(module: nn.Module, ours: type | None) -> bool:
    """Whether somebody listens to this module, and would hear nothing if what is around it were left out."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return any(ours is None or not isinstance(getattr(hook, "__self__", None), ours) for hook in hooks)


@dataclass(frozen=True, eq=False)
class _Given:
    out: Any
    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]

    def unchanged(self) -> bool:
        return tuple(t._version for t in self.tensors) == self.versions


def _given(out: Any) -> _Given | None:
    tensors = out if isinstance(out, tuple) else (out,)
    if not all(isinstance(t, Tensor) or t is None for t in tensors):
        return None
    held = tuple(t for t in tensors if t is not None)
    return _Given(out, held, tuple(t._version for t in held))


@contextlib.contextmanager
def undropped_once(
    modules: Sequence[nn.Module], dropped: Callable[[], bool], ours: type | None = None
) -> Iterator[Repeated]:
    """Inside, and after `settle`, modules that end before dropout run no more: exactly the same numbers.

    All passes must be of the same batch, without gradients, and differ by their dropout alone.

    Args:
        modules: those that may be left out, in and around each other as they may be; what each gave in the
            first pass is held.
        dropped: whether dropout has acted in the present pass.
        ours: hooks that are methods of this class are dropout's, and miss nothing that they did not act on.

    Example:
        >>> with torch.no_grad(), undropped_once([*net.modules()], dropped) as repeated:  # doctest: +SKIP
        ...     first = run(); repeated.settle(); second = run()
    """
    found = Repeated()

    def asked(module: nn.Module, own: Forward) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if module in found.answers:
                return found.answers[module]
            out = own(*args, **kwargs)
            if not found.settled:
                skips = not dropped() and not any(
                    _heard(m, ours) for m in module.modules() if m is not module
                )
                found.calls.setdefault(module, []).append(_given(out) if skips else None)
            return out

        return forward

    with instead(modules, asked):
        yield found
