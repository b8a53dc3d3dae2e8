"""GLUE beside the paper: models learn its tasks, and their scores are laid beside reported ones."""
