"""From thought to motion: action tokenizers, action heads."""
