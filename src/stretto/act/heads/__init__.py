"""Networks that turn context into action chunks."""
