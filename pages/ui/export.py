"""Take a finished student with you: as a plain model folder, as ONNX files, and a report to pass on."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeGuard

import streamlit as st

from core import numbers
from core.cli import kinds
from core.export import job
from core.export.onnx_forms import FOLDER, MANIFEST, Form, FormMeasured, Made, MeasuredOn, read_forms
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.models.folder import WEIGHTS
from core.models.shape import MB
from pages.ui.text import as_label

EVERY_S = 1.5

BUSY = 0.5
"""Load for each core from which something else was computing, too."""

TITLES: dict[Form, str] = {"onnx": "ONNX", "int8": "ONNX, 8-bit"}
BEFORE: dict[Form, str] = {
    "onnx": "One file for programs without PyTorch. It is offered only if it answers as the student does.",
    "int8": "The same with its matrices rounded to 8 bits: about a quarter of the size. How often it then answers "
    "differently is measured.",
}


def export_panel(folder: Path) -> None:
    """What can be taken along of one finished run; the ONNX files are made on request, and every viewer sees it."""
    st.subheader("Take it with you", anchor=False)
    is_making = _is_making(job.status_of(folder))
    st.fragment(_show, run_every=EVERY_S if is_making else None)(folder, is_making)


def _show(folder: Path, was_making: bool) -> None:
    # Looked at once: a button drawn beside a clock that is already over would not hear its click.
    current = job.status_of(folder)
    if was_making and not _is_making(current):
        st.rerun()  # the page once more, without the clock
    made = read_forms(folder)
    cards = [card.container(border=True, height="stretch") for card in st.columns(4)]
    with cards[0]:
        _show_student(folder)
    for card, form in zip(cards[1:3], TITLES, strict=True):
        with card:
            _show_form(folder, form, made)
    with cards[3]:
        st.markdown("**Report**")
        st.caption("Numbers, curves and recipe in one file that opens in any browser, without a network.")
        _download("Download report", partial(_report, folder), _report_name(folder), "text/html")
    if made is not None and made["forms"]:
        st.caption(_how_timed(made["measured_on"]))
    _show_making(folder, made, current)


def _show_student(folder: Path) -> None:
    st.markdown("**For Transformers**")
    weights = folder / "student" / WEIGHTS
    if not weights.exists():
        st.caption("The student is no longer in the run's folder.")
        return
    size = numbers.megabytes(weights.stat().st_size / MB)
    st.caption(f"The plain folder that from_pretrained opens, with a model card: {size}.")
    _download("Download student", partial(_zip, folder, None), f"{_archive_name(folder)}.zip", "application/zip")


def _show_form(folder: Path, form: Form, made: Made | None) -> None:
    st.markdown(f"**{TITLES[form]}**")
    if made is None:
        st.caption(BEFORE[form])
    elif form not in made["forms"]:
        st.caption("Not offered. " + as_label(str(made["refused"].get(form, "")), 300))
    else:
        found = made["forms"][form]
        for line in _findings(found, made):
            st.caption(line)
        st.badge("measured here", color="blue", help=as_label(_on_what(made), 400))
        name = f"{_archive_name(folder, form)}.zip"
        _download(f"Download {TITLES[form]}", partial(_zip, folder, form), name, "application/zip")


def _findings(found: FormMeasured, made: Made) -> list[str]:
    """What was measured of one form, a line each."""
    where = made["measured_on"]
    metric = where["metric"]
    agreement = numbers.score(found["agreement"], metric)
    how = f"correlation with the student {agreement}" if metric == "correlation" else f"{agreement} the same answers"
    asked = f"{numbers.whole(found['answers'])} {as_label(where['counted'])}"
    return [
        f"{numbers.megabytes(found['size_mb'])}; {how} on {asked}.",
        f"Raw outputs (logits) differ by at most {_small(found['largest_difference'])}.",
        _speed(found, made["student"]["ms_per_text"]),
    ]


def _small(value: float) -> str:
    """One significant digit, written out: 0.0000026 as "0.000003"."""
    digits = 0 if value >= 1 or value == 0 else -math.floor(math.log10(value))
    return f"{value:.{digits}f}"


def _speed(found: FormMeasured, student_ms: float) -> str:
    """Beside the student's time of the same go, never one of another moment; faster is only said where it was."""
    others, spent = found["times_as_fast"], numbers.milliseconds(found["ms_per_text"])
    beside = f"the student in PyTorch, timed beside it, takes {numbers.milliseconds(student_ms)}"
    ratio = f"{others['torch']:.2g} times its speed"
    if "faster" not in found:
        return f"{spent} a text; {beside}: {ratio}."
    ratio = f"{ratio}, and {others['onnx']:.2g} times that of 32-bit ONNX"
    return f"{spent} a text: {'faster' if found['faster'] else 'smaller, not faster'}; {beside}: {ratio}."


def _how_timed(where: MeasuredOn) -> str:
    """What the milliseconds of one go can be held against, and the load where it was known."""
    threads = where["timed_threads"]
    said = (
        f"The files and the student took turns on the same texts, one at a time on {threads} processor "
        f"{numbers.plural('thread', threads)}: compare these times with each other, not with those above, which were "
        "measured at another moment."
    )
    if (load := where.get("load", 0.0)) > BUSY * where.get("cores", 1):
        said += (
            f" The machine was busy already (load {load:.2g}), so the milliseconds may be too long; how they compare "
            "still holds."
        )
    return said


def _show_making(folder: Path, made: Made | None, current: Status | None) -> None:
    """The button that makes both ONNX files; what is being done; and what went wrong."""
    if _is_making(current):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/hourglass_top: {as_label(current.sentence, 200)}")
            st.button("Cancel", key="export-cancel", type="tertiary", on_click=job.stop, args=(folder,))
        return
    if made is not None:
        return
    if current is not None:
        st.error(as_label(f"The ONNX files were not made. {current.sentence}", 500))
    _offer(folder)


def _offer(folder: Path) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        again = (folder / FOLDER / MANIFEST).exists()
        if st.button("Make the ONNX files", key="export-make", icon=":material/deployed_code:") and _start(folder):
            st.rerun()
        said = "The student or a file has changed since they were made. " if again else ""
        if kinds.at_work() is not None:
            said += "The machine is at work already; they are made as soon as that has ended."
        else:
            said += "Both are made in the background: about half a minute, or some minutes on a busy machine."
        st.caption(said)


def _start(folder: Path) -> bool:
    try:
        job.start(folder)
    except OSError as error:
        st.error(as_label(f"This could not be begun: {error.strerror or error}.", 300))
        return False
    return True


def _download(label: str, write: Callable[[], BinaryIO | bytes], name: str, kind: str) -> None:
    # Nothing is packed before somebody asks for it, and then not on the page's thread.
    key = f"download-{label}"
    st.download_button(label, write, name, kind, key=key, on_click="ignore", icon=":material/download:")


def _zip(folder: Path, form: Form | None) -> BinaryIO:
    from core.export.archive import write_zip

    # Unbuffered, since Streamlit takes no other file that was opened for writing.
    file = tempfile.TemporaryFile(buffering=0)
    write_zip(folder, file, form)
    file.seek(0)
    return file


def _report(folder: Path) -> bytes:
    from core.export.facts import read_facts
    from core.export.report import report

    return report(read_facts(folder)).encode()


def _archive_name(folder: Path, form: Form | None = None) -> str:
    from core.export.archive import archive_name

    return archive_name(folder, form)


def _report_name(folder: Path) -> str:
    from core.export.archive import report_name

    return report_name(folder)


def _on_what(made: Made) -> str:
    from core.export.card import on_what

    return on_what(made)


def _is_making(status: Status | None) -> TypeGuard[Status]:
    return status is not None and status.state not in jobs.ENDED
