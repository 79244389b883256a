"""What happens to the weights after the last step: merge, interpolate."""

from tether.finish.interpolate import choose, interpolate, merge, sweep, trained_state
from tether.finish.judge import Finish, Finished, Judge, Scores, Start, keep

__all__ = [
    "Finish",
    "Finished",
    "Judge",
    "Scores",
    "Start",
    "choose",
    "interpolate",
    "keep",
    "merge",
    "sweep",
    "trained_state",
]
