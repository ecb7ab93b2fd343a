"""What people publish, read in one way: rows of files and of the hub → messages, answers, responses → ids.

    source ─ rows ─▶ columns ─ messages, references ─▶ text ─ template, guard ─▶ ids

Whatever cannot be read as it was meant is a `Hole` with its row and the reason: counted, never trained.
"""
