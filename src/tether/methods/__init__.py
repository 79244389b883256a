"""Each method is one file composed of the six parts."""

from tether.methods.method import Initial, Method, Predict, Saved, Start, TeacherSource, Trained, softmax_main
from tether.methods.registry import build, builder, names, options, summary

__all__ = [
    "Initial",
    "Method",
    "Predict",
    "Saved",
    "Start",
    "TeacherSource",
    "Trained",
    "build",
    "builder",
    "names",
    "options",
    "softmax_main",
    "summary",
]
