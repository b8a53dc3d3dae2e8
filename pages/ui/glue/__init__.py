"""The parts of the GLUE page: its tables and bars, setting up a job, watching one, and the ablation."""
