"""Each method is one file composed of the six parts."""

from tether.methods.method import Initial, Method, Saved, TeacherSource, Trained
from tether.methods.registry import ablations, build, builder, names, options, summary
from tether.prediction import Predict, softmax_main

__all__ = [
    "Initial",
    "Method",
    "Predict",
    "Saved",
    "TeacherSource",
    "Trained",
    "ablations",
    "build",
    "builder",
    "names",
    "options",
    "softmax_main",
    "summary",
]
