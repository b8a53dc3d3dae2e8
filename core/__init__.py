"""The engine: everything Distillery does, usable without the dashboard and without Streamlit."""

import os

# Read by the compute library when torch loads it. By default its threads wait by spinning for milliseconds: as soon as
# a browser or the page wants the same cores, a training step takes several times as long. Not spinning at all costs a
# sixth of the speed of a quiet machine. These few turns cost little in either case (see benchmarks/LOG.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
