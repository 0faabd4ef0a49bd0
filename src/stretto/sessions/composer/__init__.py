"""Composed sessions: what a duplex agent is trained on, from seeds.

plot.py       a composition: a scene, what will be said in it and when
draw.py       the random choices of one composition: who speaks, in which room, which words
terms/        one file a term: what it adds to a plot
compose.py    from a seed to a plot, from a plot to a session of a teacher with the live expert, and what it shows
"""
