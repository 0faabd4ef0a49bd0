"""The one place where env, agent, runtime, voices and recorder meet."""
