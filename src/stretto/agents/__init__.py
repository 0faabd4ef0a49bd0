"""Whole agents, a page each."""
