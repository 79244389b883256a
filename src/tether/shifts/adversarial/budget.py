"""How far an attack may go, by severity."""

from __future__ import annotations

from tether.errors import RequestError

# Severity 3 is the configured budget; METHODS has one budget and no severities.
FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0)

_SMALL_SIDE = 64  # px; up to it 8/255, above it 4/255 (METHODS 1.8)
_L2 = 0.5  # METHODS' range at 224 px is 0.5 to 1


def factor(severity: int) -> float:
    """What the budget is multiplied by at severity 1..5."""
    return FACTORS[severity - 1]


def default_eps(norm: str, side: int) -> float:
    """Default eps in [0, 1] pixel units for pictures whose shorter side is `side`.

    Example:
        >>> default_eps("linf", 224) * 255
        4.0
    """
    if norm == "l2":
        return _L2
    return (8 if side <= _SMALL_SIDE else 4) / 255


def positive(name: str, **values: float | None) -> None:
    """Refuse budgets and counts that are not above 0.

    Raises:
        RequestError: naming the option.
    """
    for option, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            raise RequestError(f"{name}.{option}: expected a number above 0, got {value}; choose one")
