"""Thinking: from what was heard to what is meant."""
