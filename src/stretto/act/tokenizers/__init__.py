"""Action chunks as tokens, and what keeps them in range."""
