"""The adversarial family: shifts made against the model itself (METHODS 1.8)."""

from tether.shifts.adversarial.embedding import EMBEDDING
from tether.shifts.adversarial.image import IMAGE
from tether.shifts.adversarial.substitution import SUBSTITUTION

MAKERS = (IMAGE, EMBEDDING, SUBSTITUTION)
