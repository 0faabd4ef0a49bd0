"""Image encoders: (..., 3, size, size) pictures in, (..., tokens, width) embeddings out."""
