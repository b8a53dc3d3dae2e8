"""The parts of the page about size and speed: the promises, the map, the table, and the measuring itself."""
