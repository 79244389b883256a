"""The loop: steps, checkpoints, progress."""
