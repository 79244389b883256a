"""CAR-FT: fine-tuning that keeps the model's sense of a picture's context (Mao et al. 2024)."""

from __future__ import annotations

from tether import tune
from tether.methods.method import Initial, Method
from tether.objective import ce, kd

CONTEXTS = (
    "a photo of a",
    "a dark photo of a",
    "a bright photo of a",
    "a blurry photo of a",
    "a close-up photo of a",
    "a black and white photo of a",
    "a drawing of a",
    "a sketch of a",
    "a painting of a",
    "a cartoon of a",
    "a rendering of a",
    "a toy of a",
)


def car_ft(weight: float = 1.0, contexts: tuple[str, ...] = CONTEXTS) -> Method:
    """Full fine-tuning with CE + weight KL(q_0(x) || q_S(x)), q over contexts (METHODS 6, `car_ft`).

    q is a softmax over prompts without a class, from the pretrained text tower, which stays frozen. Needs a
    model with a text tower. The contexts are ours; the paper takes CLIP's templates with the class left out.

    Args:
        weight: lambda; 1 is a starting point, not tuned.
        contexts: at least two.
    """
    return Method(
        tuning=tune.with_contexts(tune.full(), contexts),
        terms=(
            ce(),
            kd("initial", weight, 1.0, head="context", teacher_head="context", name="context"),
        ),
        teachers={"initial": Initial()},
    )
