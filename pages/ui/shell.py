"""The frame around every page: navigation, the banner of the run that trains, and the worker's start."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import warm_up
from core.cli import kinds
from pages.ui.banner import run_banner

st.set_page_config(page_title=None, page_icon="⚗️", layout="wide")
st.html(Path(__file__).with_name("seen.css"))
kinds.start()

page = st.navigation(
    [
        st.Page("../home.py", title="Home", url_path="home", default=True),
        st.Page("../distill.py", title="Distil", url_path="distill"),
        st.Page("../glue.py", title="GLUE", url_path="glue"),
        st.Page("../compare.py", title="Compare", url_path="compare"),
        st.Page("../speed.py", title="Size and speed", url_path="speed"),
        st.Page("../runs.py", title="Runs", url_path="runs"),
    ],
    position="top",
)
if page.url_path != "distill":
    run_banner(is_glue_page=page.url_path == "glue")
page.run()
# Only now: loading torch before the page is painted would keep the viewer waiting for it.
warm_up.begin()
