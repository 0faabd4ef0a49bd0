"""Worlds, one file per suite behind one protocol, experts beside them."""
