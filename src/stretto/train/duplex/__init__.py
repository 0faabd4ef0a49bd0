"""Joint training of the duplex agent: when to speak and what to say, when to move and when to stand.

labels.py    what should be said and done in which tick, given what was really heard
shards.py    composed sessions as arrays: what the ear makes of the sound, pictures, labels' facts
episodes.py  sessions as batches of tokens; only those rows are kept that somebody learns from or sees
stage.py     the losses, and the validation
"""
