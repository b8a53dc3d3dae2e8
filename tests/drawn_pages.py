"""Pages drawn without a browser, and what can be read and done on them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.runs import folder as runs
from pages.ui import form
from tests.serving import ROOT

HOME, DISTIL, COMPARE, RUNS = "../home.py", "../distill.py", "../compare.py", "../runs.py"


def open_page(page: str, **query: str) -> AppTest:
    """The shell with one page in it, as an address with `query` opens it."""
    at = AppTest.from_file(str(ROOT / "pages/ui/shell.py"), default_timeout=60).run()
    at.switch_page(page)
    for name, value in query.items():
        at.query_params[name] = value
    return draw(at)


def draw(at: AppTest) -> AppTest:
    """Run the page once more; whatever it says, it says it without an exception."""
    at.run()
    assert not at.exception, at.exception
    return at


def words(at: AppTest) -> str:
    """Everything that a person could read on the page, as it was written."""
    kinds = "title header subheader markdown caption text info warning error success code".split()
    read = [str(element.value) for kind in kinds for element in at.get(kind)]
    read += [f"{metric.label} {metric.value} {metric.delta}" for metric in at.metric]
    read += [f"{element.label}" for kind in ("button", "expander") for element in at.get(kind)]
    return "\n".join(read)


def plain(at: AppTest) -> str:
    """What the messages on the page say, without the signs that keep them from being read as markdown."""
    messages = [each.value for kind in ("error", "warning", "info", "caption") for each in at.get(kind)]
    return "\n".join(messages).replace("\\", "")


def button(at: AppTest, label: str):
    """The one button with this label."""
    found = [each for each in at.button if each.label == label]
    assert len(found) == 1, f"{len(found)} buttons {label!r} among {[each.label for each in at.button]}"
    return found[0]


def press(at: AppTest, label: str) -> AppTest:
    button(at, label).click()
    return draw(at)


def choose(at: AppTest, section: str, name: str, value: object) -> AppTest:
    """Set one setting of the form through its widget."""
    widget(at, section, name).set_value(value)
    return draw(at)


def choose_objective(at: AppTest, objective: str) -> AppTest:
    at.button_group(key=form.OBJECTIVE).set_value(objective)
    return draw(at)


def widgets(at: AppTest, section: str, name: str) -> list:
    """The widget of a setting, or nothing where it is not shown."""
    kinds = ("number_input", "selectbox", "slider", "button_group", "text_input", "checkbox")
    return [each for kind in kinds for each in at.get(kind) if each.key == form.key_of(section, name)]


def widget(at: AppTest, section: str, name: str):
    """The widget of a setting."""
    found = widgets(at, section, name)
    assert len(found) == 1, f"{len(found)} widgets of {section}.{name}"
    return found[0]


def metric(at: AppTest, label: str) -> str:
    return next(each.value for each in at.metric if each.label == label)


def lid(at: AppTest, label: str) -> bool:
    """True if the expander whose label begins so is open."""
    (found,) = (each for each in at.expander if each.label.startswith(label))
    return found.proto.expanded


def asked_for(at: AppTest) -> str:
    """The run in the page's address; a list where the address was typed, a text where the page wrote it."""
    run_id = at.query_params["run"]
    return run_id if isinstance(run_id, str) else run_id[0]


def made_runs() -> list[Path]:
    return runs.list_runs()
