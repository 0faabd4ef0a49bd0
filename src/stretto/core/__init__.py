"""Signals, clock, protocols, registry, configuration, randomness, errors. No torch, no simulator."""
