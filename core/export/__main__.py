"""The process in which the server makes a run's ONNX files: `python -m core.export RUN_FOLDER`.

A process of its own, at low priority: torch's exporter is Python that would hold up every page of the server, and
whatever it allocates is free afterwards. It prints a line whenever it begins something else; exit code 0 is success.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from core import network, redact
from core.errors import DistilleryError
from core.export.make_forms import make_forms
from core.runs.folder import append_log

DONE, FAILED, CANCELLED = 0, 1, 3
PATIENCE = 10
"""How far it stands back for everybody else (Unix nice)."""


def main(folder: Path) -> int:
    """Make the files; the last line of stderr is the sentence of what went wrong."""
    redact.install()
    network.switch_off_unless_asked()
    os.umask(0o077)
    if hasattr(os, "nice"):
        os.nice(PATIENCE)
    # So that what is half made is removed when the server ends this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(CANCELLED))
    try:
        # A server that has gone no longer reads, and then writing a line ends this process.
        make_forms(folder, tell=lambda sentence: print(sentence, flush=True))
    except DistilleryError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"The ONNX files could not be written: {error.strerror or error}.")
    except Exception as error:  # noqa: BLE001  whatever torch's exporter raises, a person gets a sentence
        append_log(folder, redact.redacted(traceback.format_exc()))
        return _failed(f"The exporter failed ({type(error).__name__}); the run's log has the details.")
    return DONE


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
