"""Test sets, metrics, statistics, cost."""
