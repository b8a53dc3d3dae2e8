"""What `make test` checks of the types: everything that ships, and nothing is waved through.

mypy itself runs in `make test`; these tests keep its settings from growing holes.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
SHIPPED = ("app.py", "core", "pages", "benchmarks")
SILENCERS = {"ignore_errors", "disable_error_code", "ignore_missing_imports", "follow_imports", "exclude"}

IGNORED = re.compile(r"#\s*type:\s*ignore")
WITH_CODE_AND_REASON = re.compile(r"# type: ignore\[[a-z-]+(, [a-z-]+)*\]  # \w.+")


def sources() -> list[Path]:
    places = [ROOT / place for place in SHIPPED]
    return [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]


def test_make_test_checks_the_types_of_all_that_ships():
    assert set(SHIPPED) <= set(SETTINGS["files"])
    assert "-m mypy" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert SETTINGS["check_untyped_defs"] and SETTINGS["warn_unused_ignores"]


def test_no_setting_silences_errors_everywhere_or_in_our_own_files():
    assert not SILENCERS & SETTINGS.keys()
    ours = {place.removesuffix(".py") for place in SHIPPED}
    for override in SETTINGS["overrides"]:
        modules = {module.split(".")[0] for module in override["module"]}
        assert not modules & (ours | {"*", ""}), f"{sorted(modules)} are checked like everything else"
        assert not {"ignore_errors", "disable_error_code"} & override.keys()


def test_an_ignored_error_is_named_and_has_its_reason_beside_it():
    lines = [(file.relative_to(ROOT), line) for file in sources() for line in file.read_text("utf-8").splitlines()]
    ignored = [(file, line.strip()) for file, line in lines if IGNORED.search(line)]
    assert [(file, line) for file, line in ignored if not WITH_CODE_AND_REASON.search(line)] == []
    assert len(ignored) <= 3, "a better type is better than a better reason"
