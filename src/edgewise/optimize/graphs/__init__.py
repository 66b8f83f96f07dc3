"""What passes need to know of an ONNX graph: its wiring, its layers, what flows through it.

Each module answers one question and changes no model but its own copy. Read `wiring.py` first.
"""
