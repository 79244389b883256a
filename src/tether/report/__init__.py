"""Reads results, writes tables and pages."""
