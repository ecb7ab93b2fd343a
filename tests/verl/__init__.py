"""Tests of verl_ext against the installed verl."""
