"""Ears: from sound to features that a language model's stream takes in."""
