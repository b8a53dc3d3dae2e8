"""A file: many texts of a CSV at once, answered in the background, sorted by how far apart the models are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core import numbers
from core.cli import kinds
from core.data.csv_file import DELIMITERS, UPLOAD, Table, parse_csv
from core.data.files import shown
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.runs.comparable import RunToCompare
from core.scoring import job
from core.scoring.file_answers import (
    FileAnswers,
    FileQuestion,
    on_the_processor,
    read_question,
    to_csv,
    usable_cores,
)
from core.scoring.held_out import weights_of
from core.scoring.slices import wilson
from core.sections import TrainingSettings
from core.storage import BrokenRun
from pages.ui.answers import sure_column
from pages.ui.compare.models import Choice, folders_of, question_of
from pages.ui.compare.names import all_of, title_of
from pages.ui.compare.progress import begin_or_say, show_progress
from pages.ui.compare.truth import who_is_right
from pages.ui.text import as_label, clean, show_text

if TYPE_CHECKING:
    import pandas as pd

FILE, TABLE, ASKED = "compare-file", "compare-table", "compare-file-asked"
NONE = ""
ROWS_SHOWN, RATED = 1_000, 500


@dataclass(frozen=True)
class Upload:
    """A file that was sent, as a table, and the SHA-256 of its bytes."""

    file_id: str
    digest: str
    table: Table


def show_file(run: RunToCompare, chosen: Mapping[str, Choice]) -> None:
    """The upload, which columns are meant, and the answers. Raises DistilleryError for a file that cannot be used."""
    if run.kind == "words":
        st.info("These models fill in hidden words. A file can be answered by models that give labels or scores.")
        return
    upload = _upload()
    if upload is None:
        st.caption(
            f"At most {UPLOAD.size / 1e6:.0f} MB and {numbers.whole(UPLOAD.rows)} rows, in UTF-8, with a first line "
            "that names the columns. It stays on this machine, and is deleted with its answers when the dashboard is "
            f"started again, or when {job.KEPT} other files have been asked about."
        )
        return
    columns = _show_columns(run, upload.table)
    names = question_of(run)
    label_names = () if _gives_scores(chosen) else names
    question = read_question(upload.table, *columns, label_names)
    for note in question.notes:
        st.caption(as_label(note, 400))
    models, longest = folders_of(chosen), run.settings.data.max_tokens
    work = job.file_job(upload.digest, columns, weights_of(models), longest)
    status = jobs.find_status(work)
    if status is not None and status.state not in jobs.ENDED:
        show_progress(work, "rows answered", "compare-file")
        return
    found, problem = _answers(work, status, question)
    if found is None or not found.answered.all():
        st.button(
            f"Answer {numbers.whole(len(question))} rows",
            type="primary",
            key="compare-file-start",
            on_click=_begin,
            args=(work, columns, label_names, models, longest, compute_now(run)),
        )
    if found is not None:
        show_file_answers(found, upload.table)
    elif problem:
        st.error(as_label(problem, 500))
    elif status is not None:
        st.info("Stopped before a row was answered.")


def _answers(work: Path, status: Status | None, question: FileQuestion) -> tuple[FileAnswers | None, str]:
    """What was answered, if anything was, and what went wrong, if anything did."""
    try:
        found = job.read_file_answers(work, question)
    except BrokenRun as error:
        return None, str(error)
    return found, status.sentence if status is not None and status.state in ("failed", "interrupted") else ""


def _begin(
    work: Path,
    columns: tuple[str, str, str],
    label_names: tuple[str, ...],
    models: Mapping[str, Path],
    longest: int,
    training: TrainingSettings,
) -> None:
    content = st.session_state[FILE].getvalue()
    begin_or_say(job.start_file, work, content, columns, label_names, models, longest, training)


def compute_now(run: RunToCompare) -> TrainingSettings:
    """How work in the background computes: in the run's precision, on all threads, or on one beside a training."""
    return on_the_processor(run.settings.training, 1 if kinds.at_work() else usable_cores())


def _upload() -> Upload | None:
    """The file as it was sent; read once, however often the page is drawn. Raises DataError if it is no table."""
    file = st.file_uploader(
        "A CSV file with one text, or one pair of texts, in each row",
        type=["csv"],
        key=FILE,
        max_upload_size=UPLOAD.size // 1_000_000,
    )
    if file is None:
        st.session_state.pop(TABLE, None)
        return None
    kept = st.session_state.get(TABLE)
    if kept is None or kept.file_id != file.file_id:
        content = file.getvalue()
        table = parse_csv(content, shown(file.name, 80)[1:-1])
        kept = st.session_state[TABLE] = Upload(file.file_id, hashlib.sha256(content).hexdigest(), table)
    return kept


def _show_columns(run: RunToCompare, table: Table) -> tuple[str, str, str]:
    """Which columns hold the text, the second text and the label: guessed, with the first rows below, changeable."""
    known, data = [name for name in table.columns if name], run.settings.data
    text = _guess(known, data.text_column, "text", "sentence", "sentence1", "question1", "review") or known[0]
    others = [name for name in known if name != text]
    is_pair = run.kind == "pairs"
    fields = st.columns(3 if is_pair else 2)
    place = f"{hash(table.columns)}"
    text = fields[0].selectbox(
        "Text", known, index=known.index(text), key=f"compare-file-text-{place}", format_func=clean
    )
    second = NONE
    if is_pair:
        guess = _guess(others, data.pair_column, "text2", "sentence2", "question2", "second")
        second = fields[1].selectbox(
            "Second text",
            known,
            index=known.index(guess or (others or known)[0]),
            key=f"compare-file-second-{place}",
            format_func=clean,
        )
    labels = [NONE, *known]
    guess = _guess([name for name in others if name != second], data.label_column, "label", "labels", "class", "score")
    label = fields[-1].selectbox(
        "True label (optional)",
        labels,
        index=labels.index(guess or NONE),
        key=f"compare-file-label-{place}",
        format_func=lambda name: clean(name) or "there is none",
    )
    sign = DELIMITERS[table.delimiter]
    with st.expander(f"The first rows, read with a {sign} between the columns"):
        st.dataframe(_head(table), hide_index=True, alt=f"The first rows of the file, {len(table.columns)} columns.")
    return text, second, label


def _guess(columns: list[str], *wanted: str) -> str:
    """The first of the wanted names that is a column, whatever its case; else none."""
    by_name = {name.casefold(): name for name in reversed(columns)}
    return next((by_name[name.casefold()] for name in wanted if name.casefold() in by_name), NONE)


def _head(table: Table) -> pd.DataFrame:
    import pandas as pd

    columns = [clean(name) or f"column {place}" for place, name in enumerate(table.columns, 1)]
    return pd.DataFrame([[clean(cell[:300]) for cell in row] for row in table.rows[:5]], columns=columns)


def _gives_scores(chosen: Mapping[str, Choice]) -> bool:
    """True for models with one output, as the student's own file says."""
    from core.storage import read_json

    for choice in chosen.values():
        names = read_json(choice.folder / "config.json").get("id2label")
        return isinstance(names, dict) and len(names) == 1
    return False


def show_file_answers(found: FileAnswers, table: Table) -> None:
    """How often they agree, how often each is right, the rows with the furthest apart first, and the download."""
    count, rows = int(found.answered.sum()), found.rows
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(_headline(found), anchor=False, width="content")
        st.badge("measured here", color="blue", help=f"In {found.precision} on the processor, in batches.")
    if count < len(found.question):
        reached = f"{numbers.whole(count)} of {numbers.whole(len(found.question))}"
        st.warning(f"Stopped: {reached} rows are answered, the shortest ones.")
    # Of few rows most of the time goes into opening and loading, so a rate would mislead.
    rate = f", {numbers.whole(round(count / found.elapsed_s))} a second" if count >= RATED else ""
    show_text(f"{numbers.whole(count)} rows in {found.elapsed_s:.1f} s{rate}.")
    right = {name: found.right(name) for name in found.answers}
    if any(known for _, known in right.values()):
        for column, (name, (hits, known)) in zip(st.columns(len(right)), right.items(), strict=True):
            low, high = wilson(hits, known)
            column.metric(f"{title_of(name)} is right", numbers.percent(hits / known))
            column.caption(
                f"{numbers.whole(hits)} of {numbers.whole(known)}; 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
            )
        show_text(_right_together(found))
    st.dataframe(
        file_table(found, rows[:ROWS_SHOWN].tolist()),
        hide_index=True,
        column_config=_columns(found),
        alt=f"The answers to {min(count, ROWS_SHOWN)} rows, the furthest apart first.",
    )
    if count > ROWS_SHOWN:
        st.caption(
            f"The {numbers.whole(ROWS_SHOWN)} rows that are furthest apart are shown; the download holds all of them."
        )
    st.download_button(
        "Download all answers (CSV)",
        data=partial(to_csv, found, table),
        file_name="answers.csv",
        mime="text/csv",
        key="compare-file-download",
        icon=":material/download:",
        on_click="ignore",
        help="Cells that a spreadsheet would take for a formula have an apostrophe before them.",
    )


def file_table(found: FileAnswers, rows: list[int]) -> pd.DataFrame:
    """One row each: the text, every model's answer, how far apart they are, whether they agree, and the true label."""
    import pandas as pd

    gaps, agree, question, known = found.gaps(), found.agree(), found.question, found.known
    right = {name: found.is_right(name) for name in found.answers}
    lines = []
    for row in rows:
        line: dict[str, str | float] = {"Line": question.lines[row]}
        if found.label_names:
            line["Agree"] = "yes" if agree[row] else "no"
        if known.any():
            are_right = {name: bool(right[name][row]) for name in right}
            line["Right"] = who_is_right(are_right) if known[row] else ""
        line["Text"] = clean(question.texts[row][:1000])
        if question.seconds is not None:
            line["Second text"] = clean(question.seconds[row][:1000])
        for name in found.answers:
            said, sure = found.said(name, row)
            line[f"{title_of(name)} says"] = clean(said) if found.label_names else sure
            if found.label_names:
                line[f"{title_of(name)} sure"] = 100 * sure
        line["Apart"] = 100 * gaps[row] if found.label_names else gaps[row]
        if question.labels is not None:
            line["True label"] = clean(found.label_of(row))
        lines.append(line)
    return pd.DataFrame(lines)


def _headline(found: FileAnswers) -> str:
    count = int(found.answered.sum())
    if not found.label_names:
        return f"On average they are {found.gaps()[found.answered].mean():.3g} apart"
    agreeing = int(found.agree()[found.answered].sum())
    return f"They agree on {numbers.whole(agreeing)} of {numbers.whole(count)} ({numbers.percent(agreeing / count)})"


def _right_together(found: FileAnswers) -> str:
    """On how many rows with a known label all are right, and on how many none is: agreeing is no merit by itself."""
    right = np.stack([found.is_right(name)[found.known] for name in found.answers])
    every, none = int(right.all(axis=0).sum()), int((~right).all(axis=0).sum())
    split, total = right.shape[1] - every - none, right.shape[1]
    who = all_of(len(right))
    return (
        f"Of {numbers.whole(total)} {numbers.plural('row', total)} with a known label: {who.lower()} right in "
        f"{numbers.whole(every)}, {'both' if len(right) == 2 else 'all'} wrong in {numbers.whole(none)}, only some "
        f"right in {numbers.whole(split)}."
    )


def _columns(found: FileAnswers) -> dict:
    config: dict = {
        "Line": st.column_config.NumberColumn(width=60, help="Where the row begins in the file."),
        "Agree": st.column_config.TextColumn(width=60),
        "Text": st.column_config.TextColumn(width=380),
        "Right": st.column_config.TextColumn(width=75, help="Which models give the true label."),
        "Apart": st.column_config.NumberColumn(
            format="%.1f" if found.label_names else "%.3f",
            width=65,
            help="How far apart the answers are: in percentage points of probability, or on the scale of the score.",
        ),
    }
    for name in found.answers:
        if found.label_names:
            config[f"{title_of(name)} sure"] = sure_column(name, width=120)
        else:
            config[f"{title_of(name)} says"] = st.column_config.NumberColumn(format="%.3f", width=110)
    return config
