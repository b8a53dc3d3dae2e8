"""The model card of a student: README.md with the front matter that the Hub reads.

Every number in it is one of results.json, or of the manifest of the ONNX files. Whatever somebody else wrote stays
plain text (`foreign`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from core.config import GLUE_SOURCES
from core.export.facts import Facts, data_name, licences, limits, recipe, summary
from core.export.foreign import in_markdown, one_line
from core.export.measured import Number, measured_on, result_rows
from core.export.onnx_forms import FILES, Form, FormMeasured, Made, StudentMeasured
from core.numbers import score, unit
from core.runs.results import Results

TITLES: dict[Form, str] = {"onnx": "ONNX, 32-bit", "int8": "ONNX, 8-bit"}

CITATION = """\
@misc{sanh2019distilbert,
  title         = {DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter},
  author        = {Victor Sanh and Lysandre Debut and Julien Chaumond and Thomas Wolf},
  year          = {2019},
  eprint        = {1910.01108},
  archivePrefix = {arXiv}
}"""

CLASSES = {"labels": "AutoModelForSequenceClassification", "masked_words": "AutoModelForMaskedLM"}


def model_card(facts: Facts, form: Form | None = None) -> str:
    """README.md of the plain folder, or of one of the ONNX files, in markdown that begins with YAML."""
    settings = facts.settings
    parts = [
        f"---\n{front_matter(facts, form)}---",
        f"# {in_markdown(facts.name)}",
        in_markdown(summary(facts)),
        "## Use",
        _use_onnx(facts, form) if form else _use(facts),
        "## Measured here",
        in_markdown(measured_on(facts.results)),
        _result_table(facts),
        *_forms(facts),
        "## Recipe",
        _table(("part", "setting", "value"), ((title, *row) for title, rows in recipe(settings) for row in rows)),
        "## Limits",
        "\n".join(f"- {in_markdown(sentence)}" for sentence in limits(facts)),
        "## Licences",
        "\n".join(f"- {what.capitalize()}: {in_markdown(licence)}" for what, licence in licences(settings).items()),
        "The student's weights come from the teacher's and from the data, so what holds for both holds for it.",
        "## Citation",
        f"The method, by Sanh et al. 2019:\n\n```bibtex\n{CITATION}\n```",
        f"Made with Distillery on {facts.date}; {in_markdown(_versions(facts.results))}.",
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(facts: Facts, form: Form | None = None) -> str:
    """YAML as the Hub expects it in a model card, the result among it where it is defined."""
    settings, results = facts.settings, facts.results
    is_ours = settings.teacher.source == "minilm" and settings.data.source in ("rotten_tomatoes", "imdb")
    values: dict[str, Any] = {"license": "apache-2.0" if is_ours else "other"}
    if not is_ours:
        values["license_name"] = "as-the-sources-say"
    if is_ours or settings.data.source in GLUE_SOURCES:
        values["language"] = ["en"]
    values |= {
        "library_name": "onnx" if form else "transformers",
        "pipeline_tag": "fill-mask" if settings.objective == "masked_words" else "text-classification",
        "tags": [facts.student.family.name, "knowledge-distillation", *(["onnx"] if form else [])],
    }
    base = {"minilm": "sentence-transformers/all-MiniLM-L6-v2", "hub": settings.teacher.hub_id}
    if settings.teacher.source in base:
        values["base_model"] = base[settings.teacher.source]
    if settings.data.source in GLUE_SOURCES:
        values["datasets"] = ["nyu-mll/glue"]
    if results["student"]["score"] is not None:
        values["metrics"] = [_metric_id(results["metric"])]
        values["model-index"] = [{"name": one_line(facts.name), "results": [_index_entry(facts, values)]}]
    # Not split over lines, which some readers of front matter do not put together again.
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000)


def _index_entry(facts: Facts, values: dict[str, Any]) -> dict[str, Any]:
    results, settings = facts.results, facts.settings
    dataset = {"name": one_line(data_name(settings)), "type": settings.data.source, "split": one_line(results["split"])}
    metrics = [{"type": _metric_id(results["metric"]), "value": results["student"]["score"], "name": results["metric"]}]
    if results["agreement"] is not None:
        name = "agreement with the teacher"
        metrics.append({"type": "agreement", "value": results["agreement"], "name": name})
    return {"task": {"type": values["pipeline_tag"]}, "dataset": dataset, "metrics": metrics}


def _metric_id(metric: str) -> str:
    return "pearson-spearman-mean" if metric == "correlation" else "accuracy"


def _use(facts: Facts) -> str:
    kind = CLASSES[facts.settings.objective]
    mask = facts.student.family.tokenizer.mask
    text = f'"The movie was absolutely {mask}."' if kind.endswith("LM") else '"A warm, funny and moving film."'
    return (
        "```python\n"
        f"from transformers import AutoTokenizer, {kind}\n\n"
        'folder = "."  # where this file lies\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        f"model = {kind}.from_pretrained(folder)\n"
        f'logits = model(**tokenizer({text}, return_tensors="pt", return_token_type_ids=False)).logits\n'
        "```"
    )


def _use_onnx(facts: Facts, form: Form) -> str:
    return (
        "```python\n"
        "import onnxruntime\n"
        "from transformers import AutoTokenizer\n\n"
        'folder = "."  # where this file lies\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        f'session = onnxruntime.InferenceSession(f"{{folder}}/{FILES[form]}")\n'
        f'inputs = tokenizer("A text.", return_tensors="np", return_token_type_ids={facts.student.tells_segments})\n'
        '(logits,) = session.run(["logits"], dict(inputs))\n'
        "```"
    )


def _result_table(facts: Facts) -> str:
    rows = [
        (row.label, *(_cell(number) for number in (row.teacher, row.student or row.both)), row.paper)
        for row in result_rows(facts.results)
    ]
    return _table(("", "teacher", "student", "the paper's promise"), rows, is_ours=True)


def _forms(facts: Facts) -> list[str]:
    """What was measured of the ONNX files, if there are any."""
    if not facts.forms or not facts.forms["forms"]:
        return []
    metric = facts.forms["measured_on"]["metric"]
    rows = [("PyTorch, 32-bit", "", "", _plain_score(facts.forms["student"], metric), *_speed(facts.forms["student"]))]
    rows += [
        (
            TITLES[form],
            f"{found['largest_difference']:.2g}",
            score(found["agreement"], metric),
            _plain_score(found, metric),
            *_speed(found),
        )
        for form, found in facts.forms["forms"].items()
    ]
    head = ("form", "largest difference of a logit", "agreement with the original", metric, "a text", "speed")
    return [in_markdown(on_what(facts.forms)), _table(head, rows, is_ours=True)]


def on_what(forms: Made) -> str:
    """On what texts and with how many threads the forms were measured. Foreign text in part."""
    where = forms["measured_on"]
    texts = f"{where['texts']} of {where['all_texts']}" if where["texts"] < where["all_texts"] else f"{where['texts']}"
    return (
        f"ONNX files beside the original: asked {texts} texts of the {where['split']} split; times on the processor "
        f"with {where['timed_threads']} thread, one text at a time, in turn with the others."
    )


def speed_in_words(measured: FormMeasured | StudentMeasured) -> str:
    """ "1.4 × the original's speed", and of 8-bit weights whether that is called faster."""
    ratio = measured["times_as_fast"].get("torch")
    if ratio is None:
        return ""
    faster = "" if measured.get("faster", True) else "; not faster than the 32-bit forms here"
    return f"{ratio:.2g} × the original's{faster}"


def _speed(measured: FormMeasured | StudentMeasured) -> tuple[str, str]:
    return unit(measured["ms_per_text"], "ms"), speed_in_words(measured)


def _plain_score(measured: FormMeasured | StudentMeasured, metric: str) -> str:
    return score(measured["score"], metric)


def _cell(number: Number | None) -> str:
    return number.text if number else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], is_ours: bool = False) -> str:
    """A markdown table. The cells are foreign text unless `is_ours`."""
    lines = [[*head], *([*row] for row in rows)]
    safe = lines if is_ours else [[in_markdown(cell) for cell in line] for line in lines]
    width = len(safe[0])
    return "\n".join(f"| {' | '.join(line)} |" for line in [safe[0], ["---"] * width, *safe[1:]])


def _versions(results: Results) -> str:
    versions = results.get("versions")
    known = versions.items() if isinstance(versions, dict) else ()
    return ", ".join(f"{one_line(str(name), 20)} {one_line(str(version), 40)}" for name, version in known)
