"""What the Runs page lists, without a browser."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest


def listed(at: AppTest) -> list[dict[str, Any]]:
    """The rows of the table of runs, as the browser is told of them; none where there is no table."""
    found = [view.proto for view in at.get("bidi_component") if view.proto.component_name == "distillery_runs"]
    return json.loads(found[0].json)["rows"] if found else []


def cells(row: dict[str, Any], *names: str) -> list[str]:
    """The texts in some columns of a row."""
    return [row["cells"][name]["text"] for name in names]
