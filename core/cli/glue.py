"""`python -m core glue`: the options, and the GLUE job that they mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from core.cli.carry_out import carry_out_and_report, leave_on_signals
from core.cli.which import find_run, is_path
from core.data.files import DataError, as_path, shown
from core.errors import DistilleryError
from core.glue.settings import GlueSettings, TaskName, parse_glue
from core.jobs.owner import this_process
from core.runs import folder as runs
from core.settings_file import SettingsError, override
from core.storage import runs_root

TEACHER, HUB = "teacher", "hub:"


def add_glue(commands: Any) -> None:
    """Describe the command to the parser."""
    command = commands.add_parser("glue", help="fine-tune models on GLUE's tasks and score them")
    command.set_defaults(run_command=score)
    command.add_argument(
        "--task", action="append", default=[], choices=get_args(TaskName), metavar="TASK",
        help=f"a task, as often as wanted: {', '.join(get_args(TaskName))} (default: MRPC and RTE)",
    )  # fmt: skip
    where = command.add_mutually_exclusive_group()
    where.add_argument("--glue", metavar="FOLDER", help="the folder that holds SST-2/, MRPC/ and so on as downloaded")
    where.add_argument("--hub", action="store_true", help="take the tasks from the Hub instead (network)")
    command.add_argument(
        "--model", action="append", default=[], metavar="MODEL",
        help=f"a model, as often as wanted: '{TEACHER}' (the bundled one, the default), a finished run's "
        f"id or given name, a teacher's folder, or {HUB}owner/name",
    )  # fmt: skip
    command.add_argument("--seeds", metavar="N", help="learn every task N times and report the median")
    command.add_argument("--epochs", metavar="N", help="how often the training examples are read")
    command.add_argument("--max-examples", metavar="N", help="use only so many training examples of each task")
    command.add_argument("--zero-shot", action="store_true", help="ask the models as they are, without learning")
    command.add_argument("--again", action="store_true", help="students learn each task from the teacher as well")
    command.add_argument("--timing", action="store_true", help="measure size and speed over STS-B, too")
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting, e.g. learning_rate=1e-4"
    )


def score(options: argparse.Namespace) -> int:
    """Check and carry out the job; returns the exit code. Raises SettingsError and DistilleryError."""
    # It loads scikit-learn, which no other command needs.
    from core.glue.planning import check_job

    settings = job_settings(options)
    check_job(settings)
    leaving = leave_on_signals()
    # Reserved for this process: a dashboard on the same folder shows the job, but does not take it.
    folder = runs.create_job(settings, runs.new_run_id(), owner=this_process())
    return carry_out_and_report(folder, leaving)


def job_settings(options: argparse.Namespace) -> GlueSettings:
    """The settings that the options mean. Raises SettingsError."""
    raw: dict[str, Any] = {
        "source": "glue_hub" if options.hub else "glue_folder",
        "path": options.glue or "",
        "models": [_model(name) for name in options.model or [TEACHER]],
        "way": "zero-shot" if options.zero_shot else "fine-tuned",
        "second_distillation": options.again,
        "timing": options.timing,
    }
    if options.task:
        raw["tasks"] = options.task
    numbers = {name: getattr(options, name) for name in ("seeds", "epochs", "max_examples")}
    given = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    return override(parse_glue(raw), [*given, *options.set])


def _model(name: str) -> dict[str, Any]:
    if name == TEACHER:
        return {"kind": "teacher"}
    if name.startswith(HUB):
        return {"kind": "teacher", "teacher": {"source": "hub", "hub_id": name.removeprefix(HUB)}}
    try:
        run, folder = find_run(name), _model_folder(name)
    except DistilleryError as error:
        raise SettingsError({"models": f"--model: {error}"}) from None
    if run and folder and run.name != name and not is_path(name):
        raise SettingsError(
            {"models": f"--model {shown(name)} is a run and a folder here; give the run's id, {run.name}, or ./{name}."}
        )
    if run:
        return {"kind": "student", "run": run.name}
    if folder:
        return {"kind": "teacher", "teacher": {"source": "folder", "path": str(folder)}}
    raise SettingsError(
        {
            "models": f"--model {shown(name, 100)} is no run in {runs_root().name}/ and no folder; give '{TEACHER}', "
            "a finished run's id or name, the folder of a BERT, or hub:owner/name."
        }
    )


def _model_folder(name: str) -> Path | None:
    try:
        path = as_path(name, "models")
    except DataError:
        if not is_path(name):
            return None
        raise
    return path if name.strip() and path.is_dir() else None
