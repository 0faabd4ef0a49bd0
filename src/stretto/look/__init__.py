"""Looking: pictures become tokens."""
