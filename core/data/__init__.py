"""Text and labels: the bundled assets, their splits, tokens and the order in which they are read."""
