"""Each method is one file composed of the six parts."""
