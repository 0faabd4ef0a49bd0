"""Simulated persons."""
