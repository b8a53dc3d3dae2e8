"""Which run or GLUE job a person means in a terminal: by its folder, its id, or the name that it was given."""

from __future__ import annotations

import os
from pathlib import Path

from core.data.files import shown
from core.runs import folder as runs
from core.runs.about import given_name
from core.storage import BrokenRun, runs_root, scores_root

MOST_NAMED = 8


def run_meant(typed: str) -> Path:
    """The folder of the run. Raises BrokenRun, naming what was typed, if there is none or more than one."""
    return find_run(typed) or _refused(typed, [runs_root()])


def run_or_job_meant(typed: str) -> Path:
    """The same, or the folder of a GLUE job if the path says so or there is only a job of that id."""
    job = _id_below(scores_root(), typed)
    # Not the methods of Path, which raise for a name longer than any file system takes.
    if job and os.path.isdir(scores_root() / job) and (is_path(typed) or not os.path.isdir(runs_root() / job)):
        return runs.job_folder(job)
    return find_run(typed) or _refused(typed, [runs_root(), scores_root()])


def find_run(typed: str) -> Path | None:
    """The folder of the run, or None. Raises BrokenRun if several have this name."""
    run_id = _id_below(runs_root(), typed)
    if run_id and os.path.isfile(runs_root() / run_id / "config.json"):
        return runs.run_folder(run_id)
    name = " ".join(typed.split())
    if not name or is_path(typed):
        return None
    named = [folder for folder in runs.list_runs() if given_name(folder) == name]
    if len(named) > 1:
        ids = ", ".join(folder.name for folder in named[:MOST_NAMED]) + (", …" if len(named) > MOST_NAMED else "")
        raise BrokenRun(f"{len(named)} runs are called {shown(typed)}: {ids}. Give the id of one.")
    return named[0] if named else None


def is_path(typed: str) -> bool:
    """True for what names a place on the disk; a bare name is an id or a given name."""
    return typed in (".", "..") or any(sign in typed for sign in (os.sep, os.altsep) if sign)


def _id_below(root: Path, typed: str) -> str | None:
    """The id of what lies directly below `root`, if the path does; a bare name is taken for one."""
    if not is_path(typed):
        return typed
    path = Path(os.path.abspath(typed))
    # Its own links are followed as far as the folder that holds it: the folder of a run may be a link itself.
    if os.path.realpath(path.parent) == os.path.realpath(root):
        return path.name
    is_short = Path(typed).parts == (root.name, path.name) and not os.path.lexists(typed)
    return path.name if is_short else None


def _refused(typed: str, roots: list[Path]) -> Path:
    if is_path(typed) and not any(_id_below(root, typed) for root in roots):
        below = " or ".join(f"{root.name}/" for root in roots)
        raise BrokenRun(
            f"{shown(typed, 300)} does not lie in {below} of {shown(str(roots[0].parent), 300)}. Give the id of a "
            "run, its name, or its folder there."
        )
    return runs.run_folder(Path(typed).name)
