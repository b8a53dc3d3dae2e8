"""The job that measures a run's models: one at a time on this machine, and never beside anything else.

Importing this file does not load torch.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import DistilleryError
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.jobs.owner import Owner
from core.jobs.reporter import Reporter
from core.persisted import read_kept
from core.runs import folder as runs
from core.speed.machine import this_machine
from core.speed.measurement import write_measurement
from core.storage import BrokenRun, jobs_root

NAME = "measure"

TAKEN = (
    "Something on this machine trains or is being exported now. Both would share the processor, and every time "
    "measured would be wrong; measure when it has finished."
)
WAITS = "A run waits for its turn and is about to train. Measure when it has finished."
STOPPED = "Nothing was kept."


def begin(run_id: str, why_not: str, threads: int | None = None, owner: Owner | None = None) -> Path:
    """Queue the measurement of a run, unless one is under way: then its folder. Several tabs may call it at once.

    Raises DistilleryError with `why_not`, the reason why nothing may be measured now, if there is one.
    """
    if measuring():
        return jobs_root() / NAME
    if why_not:
        raise DistilleryError(why_not)
    return jobs.create_anew(jobs_root(), {"job": NAME, "run": run_id, "threads": threads}, NAME, owner=owner)


def current() -> tuple[str, Status] | None:
    """The run that is being measured on this machine, or was last, and how that stands; None before the first."""
    folder = jobs_root() / NAME
    try:
        return str(read_kept(folder / "config.json").get("run")), jobs.read_status(folder)
    except BrokenRun:
        return None


def measuring() -> tuple[str, Status] | None:
    """The same while it waits or is under way, else None."""
    found = current()
    return found if found and found[1].state not in jobs.ENDED else None


def stop() -> None:
    """Ask the measurement that is under way, if there is one, to end; it does after the pass it is in."""
    if measuring():
        jobs.request_stop(jobs_root() / NAME)


def measure_run(folder: Path, reporter: Reporter) -> str:
    """The work: measure the models of the run that the job names. Raises StopRequested, keeping nothing."""
    settings = read_kept(folder / "config.json")
    run, machine = runs.run_folder(str(settings["run"])), this_machine(settings["threads"])
    from core.speed.measure import measure  # not before the job says that it loads what the models need

    def report(sentence: str, done: int, total: int) -> None:
        reporter.publish(durable=False, state="running", sentence=sentence, step=done, total_steps=total)

    measurement = measure(run, machine, report, reporter.should_stop)
    write_measurement(run, measurement)
    return f"Measured in {measurement.elapsed_s:.0f} seconds."


def stopped(_folder: Path, _status: Status, why: str) -> str:
    """What is said of a measurement that was stopped."""
    return f"Stopped {why}. {STOPPED}"
