"""Opening, building and keeping models."""
