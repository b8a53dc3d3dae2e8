"""What the live view asks of the server: its own files, plotly.js, and what is new in a run."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.runs.feed import feed
from core.runs.folder import BrokenRun, run_folder

HERE = Path(__file__).parent
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
OWN_FILES = {path.name: path for path in sorted(HERE.iterdir()) if path.suffix in TYPES}


def _version() -> str:
    """Changes with every change of a file, so that a browser may keep what it has for ever."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in OWN_FILES.values()))
    return digest.hexdigest()[:12]


VERSION = _version()
PLOTLY_VERSION = importlib.metadata.version("plotly")
SCRIPTS = f"/live/{VERSION}/live.js"
NO_NUMBER = "The live view asked for a place in the file that is not a number. Reload the page."
PLOTLY = f"/live/plotly.min.js?v={PLOTLY_VERSION}"


def routes() -> list[Route]:
    """Routes for st.App: the view's scripts and style, plotly.js, and `/api/runs/{run_id}/live?since=N`."""
    return [
        Route("/live/plotly.min.js", plotly_script),
        Route("/live/{version}/{name}", own_file),
        Route("/api/runs/{run_id}/live", live),
    ]


def live(request: Request) -> Response:
    """What is new in a run since byte N, as JSON. 400 or 404 with a sentence for what cannot be answered.

    Not `async`: Starlette runs it on a worker thread, so that a slow disk holds up nobody else.
    """
    since = request.query_params.get("since", "0")
    if not (since.isascii() and since.isdecimal()) or len(since) > 15:
        return _refusal(400, NO_NUMBER)
    try:
        answer = feed(run_folder(request.path_params["run_id"]), int(since))
    except BrokenRun as error:
        return _refusal(404, str(error))
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def own_file(request: Request) -> Response:
    """One of the view's own files."""
    path = OWN_FILES.get(request.path_params["name"])
    if path is None:
        return _refusal(404, "The live view has no such file.")
    fresh = request.path_params["version"] == VERSION
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"}
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers=headers)


def plotly_script(request: Request) -> Response:
    """plotly.js as the plotly package ships it, compressed once for all browsers."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(_plotly_gzipped(), media_type=TYPES[".js"], headers=headers | {"Content-Encoding": "gzip"})
    return Response(_plotly(), media_type=TYPES[".js"], headers=headers)


@cache
def _plotly_gzipped() -> bytes:
    return gzip.compress(_plotly(), compresslevel=6)


def _plotly() -> bytes:
    # Found without importing plotly, which takes 0.2 s that a server start can do without.
    package = importlib.util.find_spec("plotly")
    if package is None or package.origin is None:
        raise FileNotFoundError("the plotly package is not installed; run `make run` or install requirements.txt")
    return Path(package.origin).with_name("package_data").joinpath("plotly.min.js").read_bytes()


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"sentence": sentence}, status, headers={"Cache-Control": "no-store"})
