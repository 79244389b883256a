"""Names bound to models that are never trained here."""

from tether.teachers.bind import bind, prepare
from tether.teachers.ingredients import Ingredient, ingredients
from tether.teachers.reference import with_reference
from tether.teachers.trained import Making, Teacher

__all__ = ["Ingredient", "Making", "Teacher", "bind", "ingredients", "prepare", "with_reference"]
