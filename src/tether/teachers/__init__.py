"""Names bound to models that are never trained here."""

from tether.teachers.bind import bind, prepare
from tether.teachers.reference import with_reference
from tether.teachers.trained import Making, Teacher

__all__ = ["Making", "Teacher", "bind", "prepare", "with_reference"]
