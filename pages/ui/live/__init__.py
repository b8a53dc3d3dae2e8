"""The live view of a run: a component that draws in the browser and asks one small route for what is new.

Nothing of it goes through a Streamlit rerun: a rerun would send every curve again, cost the server a script run a
second, and lose the viewer's zoom. The component asks `/api/runs/{run_id}/live`, appends, and draws with the
plotly.js that the plotly package ships. It speaks to Streamlit once, when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.runs.folder import ENDED, read_status, run_folder
from core.terms import TERMS
from pages.ui.live.routes import PLOTLY, SCRIPTS, routes
from pages.ui.theme import COLOURS

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

__all__ = ["Stages", "live_view", "routes"]

# Sent again at every rerun, so it only fetches the module, which the browser keeps. `import` here runs in a blob
# module, which has no address of its own: hence the full one. The room is reserved before anything is drawn.
HTML = '<div class="live" style="min-height: 34rem"></div>'
SCRIPT = """
export default function (component) {
  const address = path => new URL(path, document.baseURI).href
  const view = import(address(component.data.module)).then(live => live.show(component, address))
  return () => view.then(shown => shown.close())
}
"""


@dataclass(frozen=True)
class Stages:
    """What the stages of a run are, in words; `known` stands in the teacher's place where it need not learn.

    `needs_none` is true where that is so and the run has not come far enough to show it.
    """

    teacher: str = "Teacher learns the task"
    known: str = "Teacher knows the task already"
    student: str = "Student learns from the teacher"
    needs_none: bool = False


def live_view(run_id: str, key: str, on_change: Callable[[], None] | None = None, stages: Stages | None = None) -> None:
    """Show a run as it trains, or as it ended. Reruns the page once when a run that was active here has ended.

    `on_change` is called before that rerun; `stages` says what the run's stages are. Keep `key` the same between
    reruns: the view, its zoom and its switches then stay as they are. Raises BrokenRun if there is no such run or its
    status cannot be read.
    """
    watched = read_status(run_folder(run_id)).state not in ENDED
    _component()(key=key, data=_data(run_id, watched, stages or Stages()), on_ended_change=on_change or _nothing)


def _data(run_id: str, watched: bool, stages: Stages) -> dict[str, Any]:
    return {"run": run_id, "watched": watched, "module": SCRIPTS, "plotly": PLOTLY} | {
        "colours": COLOURS,
        "terms": [term.name for term in TERMS],
        "stages": asdict(stages),
    }


def _nothing() -> None:
    """The rerun itself is what is wanted; Streamlit reports a trigger only where there is a callback for it."""


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use: at import time there may be no runtime to register with."""
    return st.components.v2.component("distillery_live", html=HTML, js=SCRIPT, isolate_styles=False)
