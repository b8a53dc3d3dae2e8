"""Losses, the training loop, and whole runs."""
