"""Presets of the tick."""
