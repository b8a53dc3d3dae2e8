"""Only this machine's own pages reach the dashboard, and what they may load is this dashboard's own."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import re
import shutil
import socket
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import Browser, Page
from starlette.types import Message, Receive, Scope, Send

from pages.ui.guard import INDEX_SCRIPT_HASH, Guard, content_security_policy
from tests.conftest import StartServer
from tests.fixtures.browser import axe, chromium, open_next_page, open_page, visit
from tests.fixtures.serving import ROOT, Server

HOST = "127.0.0.1:8501"
OWN = f"http://{HOST}"

# (host, origin, status over HTTP, status of a WebSocket); None: the header is missing. 200 means let through.
MATRIX = [
    (HOST, OWN, 200, 200),
    ("localhost:8501", "http://localhost:8501", 200, 200),
    ("[::1]:8501", "http://[::1]:8501", 200, 200),
    ("localhost", "http://localhost", 200, 200),
    (HOST, None, 200, 403),
    (HOST, "null", 403, 403),
    (HOST, "file://", 403, 403),
    (HOST, "https://127.0.0.1:8501", 403, 403),
    (HOST, "http://127.0.0.1:3000", 403, 403),
    (HOST, "http://localhost:8501", 403, 403),
    (HOST, "http://evil.example", 403, 403),
    (HOST, "http://evil@127.0.0.1:8501", 403, 403),
    ("evil.example", "http://evil.example", 400, 403),
    ("evil.example", OWN, 400, 403),
    ("127.0.0.1.evil.example:8501", None, 400, 403),
    ("0.0.0.0:8501", "http://0.0.0.0:8501", 400, 403),
    ("user@localhost:8501", None, 400, 403),
    ("localhost:8501/x", None, 400, 403),
    ("", None, 400, 403),
    (None, None, 400, 403),
]


def headers_of(host: str | None, origin: str | None) -> list[tuple[bytes, bytes]]:
    pairs = ((b"host", host), (b"origin", origin))
    return [(name, value.encode()) for name, value in pairs if value is not None]


def ask(kind: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
    """Send one request through the guard to an application that answers 200; return status and headers."""
    scheme = "http" if kind == "http" else "ws"
    scope: Scope = {"type": kind, "scheme": scheme, "method": "GET", "path": "/", "headers": headers}
    sent: list[Message] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        raise AssertionError("the guard reads nothing")

    async def send(message: Message) -> None:
        sent.append(message)

    # Nothing here waits, so the coroutine needs no event loop (a browser fixture may hold the thread's own).
    with pytest.raises(StopIteration):
        Guard(application)(scope, receive, send).send(None)
    if sent[0]["type"] == "websocket.close":
        return 403, {}  # what uvicorn makes of a close before the handshake; a real server is asked below
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer


@pytest.mark.parametrize(("host", "origin", "over_http", "over_websocket"), MATRIX)
def test_only_an_exact_same_origin_on_a_local_host_passes(
    host: str | None, origin: str | None, over_http: int, over_websocket: int
) -> None:
    headers = headers_of(host, origin)
    assert ask("http", headers)[0] == over_http
    assert ask("websocket", headers)[0] == over_websocket


def test_a_second_host_or_origin_is_refused() -> None:
    twice = headers_of(HOST, OWN)
    assert ask("http", [*twice, (b"host", b"evil.example")])[0] == 400
    assert ask("websocket", [*twice, (b"origin", b"http://evil.example")])[0] == 403


def test_every_answer_carries_the_security_headers() -> None:
    for host in (HOST, "evil.example"):
        _, answer = ask("http", headers_of(host, None))
        assert answer["x-content-type-options"] == "nosniff"
        assert answer["x-frame-options"] == "DENY"
        assert answer["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer["content-security-policy"]
        assert "evil" not in answer["content-security-policy"]


def test_the_policy_names_this_server_only() -> None:
    policy = dict(rule.split(" ", 1) for rule in content_security_policy(HOST).split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    addresses = set(re.findall(r"\S+:\S+", " ".join(policy.values())))
    assert addresses == {f"ws://{HOST}", f"wss://{HOST}"}


def test_the_inline_script_of_the_installed_streamlit_is_the_allowed_one() -> None:
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert [f"sha256-{digest}" for digest in digests] == [INDEX_SCRIPT_HASH]


def raw_status(server: Server, path: str, headers: dict[str, str]) -> int:
    """Send a GET with exactly these headers to a real server and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def handshake(server: Server, host: str | None, origin: str | None) -> int:
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }
    return raw_status(server, "/_stcore/stream", headers | named(host, origin))


def named(host: str | None, origin: str | None) -> dict[str, str]:
    """The two headers, without those that are None."""
    return {name: value for name, value in {"Host": host, "Origin": origin}.items() if value is not None}


@pytest.mark.parametrize(("host", "origin", "over_http", "over_websocket"), MATRIX)
def test_a_real_server_keeps_to_the_whole_matrix(
    server: Server, host: str | None, origin: str | None, over_http: int, over_websocket: int
) -> None:
    def here(address: str | None) -> str | None:
        return address and address.replace("8501", str(server.port))

    opened = 101 if over_websocket == 200 else over_websocket
    assert raw_status(server, "/_stcore/health", named(here(host), here(origin))) == over_http
    # Below the guard HTTP/1.1 itself refuses a request without a host, and Streamlit's own list has no [::1], where
    # nothing listens.
    stricter = {None: 400, "[::1]:8501": 403}.get(host, opened)
    assert handshake(server, here(host), here(origin)) in {opened, stricter}


def test_a_real_server_opens_its_socket_to_its_own_page_only(server: Server) -> None:
    own = f"127.0.0.1:{server.port}"
    assert handshake(server, own, f"http://{own}") == 101
    assert handshake(server, f"localhost:{server.port}", f"http://localhost:{server.port}") == 101
    for origin in (None, "null", "http://evil.example", "http://localhost:3000", f"https://{own}"):
        assert handshake(server, own, origin) == 403, origin
    assert handshake(server, "evil.example", "http://evil.example") == 403


def test_a_real_server_answers_no_foreign_host(server: Server) -> None:
    for path in ("/", "/_stcore/metrics", "/_stcore/health", "/static/none.js"):
        assert raw_status(server, path, {"Host": "evil.example"}) == 400, path
    assert raw_status(server, "/_stcore/metrics", {"Host": f"127.0.0.1:{server.port}"}) == 200


def test_a_real_server_listens_on_the_loopback_address_only(server: Server) -> None:
    listening = "0A"
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            pytest.skip("the list of listening sockets is read from /proc")
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        found |= {row[1] for row in rows if row[3] == listening and row[1].endswith(f":{server.port:04X}")}
    assert found == {f"0100007F:{server.port:04X}"}
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5).close()


def test_a_rebound_name_does_not_load_the_page(server: Server, chromium_path: str) -> None:
    rule = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    address = f"http://evil.example:{server.port}/"
    with chromium(chromium_path, rule) as browser, open_page(browser, []) as page:
        answer = page.goto(address)
        assert answer is not None and answer.status == 400
        assert page.get_by_test_id("stApp").count() == 0
        # The rule itself works: the same name reaches the server, which is what makes the refusal count.
        assert "not served here" in page.inner_text("body")


def test_the_page_refuses_to_be_framed(server: Server, chromium_path: str) -> None:
    html = f"<iframe src='{server.url}'></iframe>"
    # Chromium's own wall around local addresses would refuse first and prove nothing about ours.
    without_wall = "--disable-features=LocalNetworkAccessChecks"
    with chromium(chromium_path, without_wall) as browser, open_page(browser, []) as page:
        page.route("http://other.example/", lambda route: route.fulfill(body=html, content_type="text/html"))
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.goto("http://other.example/")
        assert page.frames[1].get_by_test_id("stApp").count() == 0


PROBE_APP = """
import sys

sys.path.insert(0, {root!r})
import streamlit as st
from starlette.middleware import Middleware
from pages.ui.guard import Guard

app = st.App("probe.py", middleware=[Middleware(Guard)])
"""

PROBE_PAGE = '''
import numpy, pandas, plotly.graph_objects as go, streamlit as st

st.set_page_config(page_title="Probe", page_icon="🧪", layout="wide")
st.title("Probe")
st.caption("A quiet line")
st.markdown("**bold** $x^2$ `code` :material/science: :green-badge[ok]")
left, right = st.columns(2)
left.metric("Accuracy", "86.3 %", "+1.2", border=True)
right.metric("Size", "17.0 M", border=True)
st.plotly_chart(go.Figure(go.Scatter(y=[1, 3, 2])), key="chart", alt="Three points")
st.dataframe(pandas.DataFrame({"a": [1, 2]}), alt="Two rows")
st.image(numpy.zeros((20, 30, 3), dtype="uint8"), caption="Black", alt="A black field")
st.download_button("Download", b"abc", "a.txt")
uploaded = st.file_uploader("Upload", type=["csv"])
st.markdown(st.query_params.get("text", ""))
st.text(f"{len(uploaded.getvalue())} bytes" if uploaded else "nothing")
st.button("Start", type="primary")
script = """export default function({ parentElement }) {
  parentElement.querySelector("p").textContent = "component ran";
}
"""
st.components.v2.component("probe", html="<p>waiting</p>", js=script)(key="component")
with st.sidebar:
    st.caption("A quiet line")
'''


@pytest.fixture(scope="module")
def probe(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of one page with every kind of element, behind the guard and the shipped configuration."""
    folder = tmp_path_factory.mktemp("probe")
    shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
    (folder / "app.py").write_text(PROBE_APP.format(root=str(ROOT)))
    (folder / "probe.py").write_text(PROBE_PAGE)
    return start_server(folder=folder)


def test_every_kind_of_element_works_under_the_policy(probe: Server, page: Page) -> None:
    visit(page, probe.url)
    page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for()
    page.get_by_text("component ran").wait_for()
    assert page.get_by_test_id("stImage").locator("img").evaluate("image => image.naturalWidth") > 0
    file = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("8 bytes").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "a.txt"


def test_a_picture_address_in_a_text_is_not_fetched(probe: Server, browser: Browser) -> None:
    problems: list[str] = []
    with open_page(browser, problems) as page:
        with page.expect_event("requestfailed", lambda request: "spy.png" in request.url) as failed:
            visit(page, f"{probe.url}/?text=![x](http://192.0.2.1/spy.png)")
        assert failed.value.failure == "csp"
    assert len(problems) == 1 and "violates the following Content Security Policy" in problems[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_are_readable(probe: Server, browser: Browser, scheme: str) -> None:
    problems: list[str] = []
    with open_next_page(browser, problems, color_scheme=scheme) as page:
        visit(page, probe.url)
        page.get_by_text("component ran").wait_for()
        assert axe(page) == []
        assert page.get_by_role("heading", name="Probe").bounding_box()["y"] < 110
    assert not problems
