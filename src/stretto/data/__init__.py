"""What is kept: episodes on disk, voices, what people say."""
