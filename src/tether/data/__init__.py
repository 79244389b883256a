"""Where samples come from: sources, splits, packaged benchmarks. This room knows the modality."""
