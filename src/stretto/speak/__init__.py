"""Voices: text to sound with the times of its words."""
