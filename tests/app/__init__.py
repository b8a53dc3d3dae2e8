"""What ships: the launcher, its guard, its end, and the main job through all of it."""
