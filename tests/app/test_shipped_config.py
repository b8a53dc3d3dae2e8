"""What ships is closed: the settings, the words that the code may not use, and what starting it loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.serving import ROOT, server_environment

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

EXPECTED = {
    "server": {
        "address": "127.0.0.1",
        "port": 8501,
        "allowedHosts": ["localhost", "127.0.0.1"],
        "enableCORS": True,
        "enableXsrfProtection": True,
        "maxUploadSize": 20,
        "fileWatcherType": "none",
        "showEmailPrompt": False,
        "disconnectedSessionTTL": 600,
    },
    "runner": {"magicEnabled": False, "postScriptGC": False},
    "browser": {"gatherUsageStats": False},
    "client": {
        "showErrorDetails": "none",
        "showErrorLinks": False,
        "allowedOrigins": [],
        "toolbarMode": "viewer",
        "disableDataExport": True,
    },
    "logger": {"enableRich": False},
}

# What a call resolves to after its imports, and why it may not be there.
BANNED_CALLS = {
    "torch.load": "unpickles",
    "torch.save": "pickles",
    "torch.export.load": "unpickles",
    "torch.jit.load": "runs a program from a file",
    "torch.hub.load": "downloads and runs a program",
    "torch.package.PackageImporter": "runs a program from a file",
    "torch.distributed.checkpoint.load": "unpickles",
    "pandas.read_pickle": "unpickles",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "makes code of text",
    "__import__": "loads what a text names",
    "evaluate.load": "downloads and runs a script",
    "yaml.load": "builds any object",
    "yaml.unsafe_load": "builds any object",
    "os.system": "runs a shell",
    "streamlit.html": "shows foreign text as HTML",
    "streamlit.components.v1.html": "shows foreign text as HTML",
}
BANNED_KEYWORDS = {"unsafe_allow_html": True, "trust_remote_code": True, "allow_pickle": True, "shell": True}
BANNED_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}

# Elements that read their text as markdown; in what they are given, foreign text must have gone through one of ESCAPES.
MARKDOWN = {
    *("markdown", "write", "title", "header", "subheader", "caption", "badge", "metric", "success", "info", "warning"),
    *("error", "toast", "status", "spinner", "latex", "table", "exception", "button", "expander", "download_button"),
}
ESCAPES = {"as_label", "in_words", "len", "plural"}
FOREIGN = re.compile(
    r"(\w+\.)+(sentence|hub_id|\w+_column)|(settings|run|folder|path|status|job|file|upload)\.name|error|str\(error\)"
)
# Files whose HTML is made of escaped text only, which `tests/faults/test_hostile.py` looks at in a browser.
# The shell hands over the project's own style sheet, whole and as it is.
REVIEWED_HTML = {"pages/ui/glue/drawn.py", "pages/ui/speed/table.py", "pages/ui/tables.py", "pages/ui/shell.py"}


def test_every_setting_outside_the_theme_is_the_reviewed_one() -> None:
    """A new setting must be added here too, so none can open the server unseen."""
    assert {section: keys for section, keys in CONFIG.items() if section != "theme"} == EXPECTED


def test_streamlit_itself_reads_the_settings_so() -> None:
    """The names are Streamlit's own: a misspelt key would be ignored, not refused."""
    lines = "\n".join(
        f"assert config.get_option({section + '.' + key!r}) == {value!r}, {key!r}"
        for section, keys in EXPECTED.items()
        for key, value in keys.items()
    )
    script = (
        "from streamlit import config\n"
        "config.get_config_options(force_reparse=True)\n"
        f"{lines}\n"
        "assert config.is_manually_set('server.address')\n"
        "assert not config.get_option('server.enableAgentApi')\n"
        "assert not config.get_option('server.enableStaticServing')\n"
        "assert config.get_option('server.corsAllowedOrigins') == []\n"
    )
    _run_python(script)


def test_nothing_else_in_the_project_opens_another_interface() -> None:
    """No launcher, Makefile or script passes an address, a wildcard or a switch that undoes the settings."""
    switches = r"0\.0\.0\.0|server\.address|SERVER_ADDRESS|enableCORS|enableXsrf|allowedHosts|--host\b"
    hits = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "Makefile", ROOT / ".ci" / "run", *_sources())
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(switches, line)
    ]
    assert hits == []


def test_no_address_outside_this_machine_is_in_the_settings() -> None:
    """Fonts and themes are Streamlit's own; none comes from a network."""
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert "://" not in text


def contrast(one: str, other: str) -> float:
    """The WCAG 2 contrast ratio of two #rrggbb colours, 1 to 21."""
    first, second = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_of_known_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_each_theme_is_complete_and_readable(name: str) -> None:
    theme = CONFIG["theme"][name]
    assert set(theme) == set(CONFIG["theme"]["light"])
    for surface in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(theme["textColor"], theme[surface]) >= 7
        assert contrast(theme["linkColor"], theme[surface]) >= 4.5
        assert contrast(theme["primaryColor"], theme[surface]) >= 3  # outlines and marks
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5  # the words on the primary button
    assert contrast(theme["dataframeHeaderTextColor"], theme["dataframeHeaderBackgroundColor"]) >= 4.5


class Offences(ast.NodeVisitor):
    """Collect what a source file may not contain, resolving names through its imports."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.names: dict[str, str] = {}
        self.found: list[str] = []

    def report(self, node: ast.AST, what: str) -> None:
        self.found.append(f"line {getattr(node, 'lineno', 0)}: {what}")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            self.names[alias.asname or first] = alias.name if alias.asname else first
            self.check_module(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.check_module(node, node.module or "")
        for alias in node.names:
            self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self.check_call(node, f"{node.module}.{alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.check_call(node, self.resolve(node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.check_call(node, self.resolve(node.func))
        if self.room == "pages" and isinstance(node.func, ast.Attribute) and node.func.attr in MARKDOWN:
            for argument in (*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "help")):
                self.check_markdown(argument)
        self.generic_visit(node)

    def check_markdown(self, node: ast.AST) -> None:
        """Report foreign text that is going to be read as markdown."""
        if isinstance(node, ast.Call) and self.name_of(node.func) in ESCAPES:
            return
        if isinstance(node, ast.expr) and FOREIGN.fullmatch(ast.unparse(node)):
            self.report(node, f"{ast.unparse(node)} is shown as markdown")
        for child in ast.iter_child_nodes(node):
            # What decides between two texts is not shown itself.
            if not (isinstance(node, ast.IfExp) and child is node.test) and not isinstance(node, ast.Compare):
                self.check_markdown(child)

    def name_of(self, function: ast.expr) -> str:
        return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg in BANNED_KEYWORDS and not (
            isinstance(node.value, ast.Constant) and node.value.value is not BANNED_KEYWORDS[node.arg]
        ):
            self.report(node.value, f"{node.arg}= is not a plain False")
        self.generic_visit(node)

    def resolve(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])

    def check_module(self, node: ast.AST, name: str) -> None:
        top = name.partition(".")[0]
        if top in BANNED_MODULES:
            self.report(node, f"import of {top}")
        if top == "streamlit" and self.room == "core":
            self.report(node, "the engine imports streamlit")
        if self.room == "core" and top in {"pages", "app"}:
            self.report(node, "the engine imports a screen")

    def check_call(self, node: ast.AST, name: str) -> None:
        if name in BANNED_CALLS:
            self.report(node, f"{name} {BANNED_CALLS[name]}")
        if name == "time.sleep" and self.room == "pages":
            self.report(node, "a page sleeps; use a fragment with run_every")


def offences(source: str, room: str) -> list[str]:
    """Return what a source of this room ("app", "pages" or "core") may not contain."""
    visitor = Offences(room)
    visitor.visit(ast.parse(source))
    return visitor.found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("pages", "st.markdown(text, unsafe_allow_html=True)"),
        ("pages", "st.markdown(text, unsafe_allow_html=allowed)"),
        ("core", "import torch\ntorch.load(path)"),
        ("core", "import torch as t\nt.load(path)"),
        ("core", "from torch import load\nload(path)"),
        ("core", "import torch\nread = torch.load"),
        ("core", "import pickle"),
        ("core", "from pickle import loads"),
        ("core", "AutoModel.from_pretrained(name, trust_remote_code=True)"),
        ("core", "eval(text)"),
        ("core", "exec(text)"),
        ("core", "import evaluate\nevaluate.load('glue')"),
        ("core", "from evaluate import load"),
        ("core", "import streamlit as st"),
        ("core", "def late():\n    from streamlit import session_state"),
        ("core", "from pages.ui import text"),
        ("core", "import numpy as np\nnp.load(path, allow_pickle=True)"),
        ("core", "import subprocess\nsubprocess.run(text, shell=True)"),
        ("core", "import yaml\nyaml.load(text)"),
        ("core", "import pandas as pd\npd.read_pickle(path)"),
        ("pages", "import streamlit as st\nst.html(text)"),
        ("pages", "import streamlit as st\nst.error(str(error))"),
        ("pages", "import streamlit as st\nst.markdown(f'**{settings.name}**')"),
        ("pages", "import streamlit as st\nst.title(status.sentence)"),
        ("pages", "import streamlit as st\nst.exception(error)"),
        ("pages", "column.metric('Loss', run.name)"),
        ("pages", "import time\ntime.sleep(1)"),
        ("pages", "from time import sleep\nsleep(1)"),
    ],
)
def test_the_check_finds_each_offence(room: str, source: str) -> None:
    assert offences(source, room)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "model.eval()"),
        ("core", "from safetensors.torch import load\nload(data)"),
        ("core", "AutoModel.from_pretrained(name, trust_remote_code=False)"),
        ("core", "import time\ntime.sleep(1)"),
        ("core", "import re\nre.compile(text)"),
        ("pages", "import streamlit as st"),
        ("pages", "import streamlit as st\nst.error(as_label(str(error), 500))"),
        ("pages", "import streamlit as st\nst.title(as_label(settings.name))"),
        ("pages", "import streamlit as st\nst.badge(status.state)"),
    ],
)
def test_the_check_lets_the_rest_pass(room: str, source: str) -> None:
    assert offences(source, room) == []


def test_no_source_contains_an_offence() -> None:
    found = {}
    for path in _sources():
        name = path.relative_to(ROOT)
        lines = offences(path.read_text(encoding="utf-8"), room=name.parts[0])
        if str(name) in REVIEWED_HTML:
            lines = [line for line in lines if "as HTML" not in line]
        found[str(name)] = lines
    assert {"app.py", "pages/ui/guard.py"} <= set(found)
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_every_library_that_the_project_imports_is_pinned() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w-]+)==[\w.]+$", text, re.MULTILINE)
    assert len(pins) == len(text.split())
    assert "torch==2.13.0" in text.split()
    named = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
    imported = {named.get(name, name).replace("_", "-") for path in _sources() for name in _libraries(path)}
    assert imported <= {pin.replace("_", "-") for pin in pins}


def test_the_lock_holds_every_pin_and_a_hash_of_each_file() -> None:
    """Made anew whenever a list changes; the command stands at its top."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    entries = " ".join(line.rstrip("\\") for line in lines if not line.startswith("#")).split()
    locked = {entry.lower().replace("_", "-") for entry in entries if "==" in entry}
    lists = (ROOT / name for name in ("requirements.txt", "tests/requirements.txt"))
    pins = {pin.lower().replace("_", "-") for path in lists for pin in path.read_text(encoding="utf-8").split()}
    assert pins <= locked
    rest = [entry for entry in entries if "==" not in entry]
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in rest) and len(rest) >= len(locked)
    assert not any("==" in one and "==" in two for one, two in zip(entries, entries[1:], strict=False))


def test_ci_installs_from_the_lock_and_checks_every_hash() -> None:
    assert "CI=1 make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(if $(CI),.locked-requirements" in makefile and "--require-hashes -r requirements.lock" in makefile


def test_importing_the_whole_engine_leaves_streamlit_out() -> None:
    script = """
        import importlib, pkgutil, sys
        import core
        names = [module.name for module in pkgutil.walk_packages(core.__path__, "core.")]
        for name in names:
            importlib.import_module(name)
        assert len(names) >= 5, names
        assert "streamlit" not in sys.modules
    """
    _run_python(script)


def test_the_launcher_loads_nothing_heavy_and_stays_offline() -> None:
    script = """
        import os, sys
        import app
        heavy = {"torch", "transformers", "datasets", "evaluate", "sklearn", "scipy"} & set(sys.modules)
        assert not heavy, heavy
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
        assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    """
    _run_python(script)


def test_the_network_is_on_only_when_the_user_says_so() -> None:
    script = "import app, os\nassert 'HF_HUB_OFFLINE' not in os.environ"
    _run_python(script, DISTILLERY_NETWORK="1")
    with pytest.raises(AssertionError):
        _run_python(script, DISTILLERY_NETWORK="0")


def _sources() -> list[Path]:
    rooms = [path for room in ("pages", "core") for path in sorted((ROOT / room).rglob("*.py"))]
    return [ROOT / "app.py", *rooms]


def _libraries(path: Path) -> Iterator[str]:
    """The top-level names of the third-party modules that a source imports, at any depth."""
    own = {"app", "core", "pages"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top not in own and top not in sys.stdlib_module_names:
                yield top


def _run_python(script: str, **environment: str) -> None:
    """Run a script in a fresh interpreter at the project's root; fail with what it printed."""
    source = "\n".join(line.removeprefix(" " * 8) for line in script.splitlines())
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", source],
            cwd=ROOT,
            env=server_environment(Path(home), environment),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr[-3000:]
