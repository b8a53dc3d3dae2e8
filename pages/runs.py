"""What has been done. `?run=<id>` shows one run, `?runs=<id>,<id>` several beside each other, neither of them all."""

from __future__ import annotations

import streamlit as st

from core.errors import DistilleryError
from core.runs.folder import run_folder
from pages.ui.runs.beside import show_beside
from pages.ui.runs.listing import go_to, show_list
from pages.ui.runs.one import show_one
from pages.ui.runs.removing import say_what_was_removed
from pages.ui.text import as_label

say_what_was_removed()
try:
    if "run" in st.query_params:
        show_one(run_folder(st.query_params["run"]))
    elif "runs" in st.query_params:
        show_beside(st.query_params["runs"])
    else:
        show_list()
except DistilleryError as error:
    st.error(as_label(str(error), 500))
    if st.button("All runs", key="all-runs-instead"):
        go_to()
