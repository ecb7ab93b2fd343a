"""Tests; a regular package, so that it wins over the package `tests` that verl installs."""
