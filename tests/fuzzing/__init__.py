"""Damaged and hostile files for every reader, made by seeded code.

Each file ends in an error that the reader documents and that names the file, in what the
file held before, or, where a format has no checksum, in other data of the right form.
``python -m tests.fuzzing --help`` tells how to run it at length; ``docs/robustness.md``
has the figures.
"""
