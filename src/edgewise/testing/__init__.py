"""Conformance suites, fakes and hypothesis strategies for users of the protocols.

A suite is a class of laws: a subclass gives the fixtures that its docstring names, and pytest runs
it. Read `runtimes.py` first; `models.py` makes small bundles to run anything with.
"""
