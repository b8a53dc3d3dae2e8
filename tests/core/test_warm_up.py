"""What loads in the background must load whatever the pages do meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

A_SCRIPT_RUN = """
import sys
import app
from streamlit.runtime.scriptrunner.exec_code import modified_sys_path

before = list(sys.path)
with modified_sys_path(str(app.app._resolve_script_path())):
    assert sys.path == before, sys.path[:2]
"""


def test_a_script_run_leaves_the_path_of_imports_alone() -> None:
    done = subprocess.run([sys.executable, "-c", A_SCRIPT_RUN], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
