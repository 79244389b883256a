"""Losses as functions of lazily computed forwards."""
