"""One transformation of a model a file."""
