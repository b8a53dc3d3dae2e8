"""What a smaller model buys: size, memory and time of a run's models, measured here in a process of its own.

`python -m core.speed RUN` measures; the page of the dashboard starts the same command. Nothing here is loaded with
torch until something is measured.
"""
