"""Benchmarks: one file each, the trials they run, and the cards that say what came out."""
