"""What trains: everything, heads, LoRA."""
