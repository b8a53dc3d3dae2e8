"""What the pages share: the shell, forms, charts, words, and the guard in front of the server."""
