"""One life cycle for every kind of background work: a folder, a queue, a process, an end. Knows no kind of work."""
