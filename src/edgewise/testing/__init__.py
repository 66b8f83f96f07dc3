"""Conformance suites, fakes and hypothesis strategies for users of the protocols."""
