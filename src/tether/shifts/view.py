"""View: what a method calls to turn the clean batch of a step into another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tether.batch import Batch
from tether.shifts.draws import Draws

# (batch, model, teachers, draws) -> the view of the batch. A shift made against the models themselves, an
# adversarial one, needs the middle two: `model` maps a batch to an Output, `teachers` a name to such a
# runner. The others ignore them.
View = Callable[[Batch, Any, Any, Draws], Batch]
