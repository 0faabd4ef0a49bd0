"""Stretto: agents that listen, look, speak and act at the same time."""

__version__ = "0.1.0"
