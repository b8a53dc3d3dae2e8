"""Tasks, metrics and tables of scores."""
