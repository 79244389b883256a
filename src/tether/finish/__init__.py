"""What happens to the weights after the last step: merge, interpolate."""
