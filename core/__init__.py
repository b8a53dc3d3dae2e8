"""The engine: everything Distillery does, usable without the dashboard and without Streamlit."""

import os

# Read by the compute library when torch loads it. By default its threads wait by spinning: as soon as a browser or the
# page wants the same cores, a training step takes several times as long (see benchmarks/LOG.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
