"""Tests of keras-elmo."""
