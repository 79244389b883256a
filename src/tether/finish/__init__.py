"""What happens to the weights after the last step: merge, interpolate, average, mix."""

from tether.finish.blend import Blend, Blended, greedy, mean_of, uniform
from tether.finish.interpolate import choose, interpolate, merge, start_state, sweep, trained_state
from tether.finish.judge import Finish, Finished, Judge, Scores, Start, keep

__all__ = [
    "Blend",
    "Blended",
    "Finish",
    "Finished",
    "Judge",
    "Scores",
    "Start",
    "choose",
    "greedy",
    "interpolate",
    "keep",
    "mean_of",
    "merge",
    "start_state",
    "sweep",
    "trained_state",
    "uniform",
]
