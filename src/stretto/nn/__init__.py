"""Layers shared by all networks, one idea a file."""
