"""Tests, one file for each room of the project; `make test` runs them all."""
