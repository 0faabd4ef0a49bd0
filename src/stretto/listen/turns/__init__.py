"""Turn-taking: when the user started and when the turn is over."""
