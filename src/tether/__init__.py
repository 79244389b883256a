"""Tether fine-tunes a foundation model without letting it drift from the robustness it came with."""

__version__ = "0.1.0"
