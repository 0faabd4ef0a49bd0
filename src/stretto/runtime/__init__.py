"""The tick's machinery: execution of chunks, mixing of speech, worlds in their own process, delays. No torch."""
