"""Tests, which mirror the house: a folder for each room; `make test` runs them all."""
