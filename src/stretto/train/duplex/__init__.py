"""Joint training of the duplex agent: when to speak and what to say, when to move and when to stand.

labels.py    what should be said and done in which tick, given what was really heard
session.py   a session and its file: what the ear makes of the sound, pictures, labels' facts
shards.py    many of them, by many processes: composed, driven, or scenes without sound (scenes.py)
dialogues.py sessions of words alone
episodes.py  sessions as batches of tokens; only those rows are kept that somebody learns from or sees
stage.py     the losses, and the validation
"""
