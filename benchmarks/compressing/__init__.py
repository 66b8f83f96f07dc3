"""Three tasks whose models are compressed: what is trained, what is tried, and rows to judge by.

Read `made.py` first; `text.py` and `images.py` each make one, `../compression.py` measures them.
"""
