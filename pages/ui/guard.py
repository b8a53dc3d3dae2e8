"""Stand between the network and the dashboard: who may ask, and what a browser may do with the answer.

Streamlit's own checks leave plain HTTP open to any Host (DNS rebinding) and accept a WebSocket from another
local port or without an Origin. This middleware sees every request first. It is plain ASGI because
Starlette's base class for middleware never sees a WebSocket.
"""

from __future__ import annotations

import logging
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("distillery")

LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)

# The one inline script of Streamlit 1.67's index.html; a test compares it with the installed file.
INDEX_SCRIPT_HASH = "sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA="

POLICY_VIOLATION = 1008  # close code, RFC 6455 section 7.4.1

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuse a foreign Host (400) or Origin (403) and any such WebSocket (403, before it opens).

    Every HTTP answer carries the security headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection; the lifespan passes through untouched."""
        if scope["type"] == "http":
            send = _with_headers(send, content_security_policy(Headers(scope=scope).get("host", "")))
        elif scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        refusal = why_refused(scope)
        if refusal is None:
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await refusal(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer; where it fails before it has begun, say so here: Starlette's page has no headers."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("%s could not be answered", scope["path"])
            await PlainTextResponse("Something unexpected went wrong; the server's log has the details.", 500)(
                scope, receive, send
            )


def why_refused(scope: Scope) -> PlainTextResponse | None:
    """Return the answer that refuses this request, or None when it may pass.

    A WebSocket must carry its own origin, because only a page of this server has business there. Over HTTP a
    browser names the origin only where it matters, so its absence is no fault.
    """
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not LOCAL_HOST.fullmatch(hosts[0]):
        return PlainTextResponse("This address is not served here.", 400)
    if not origins and scope["type"] == "http":
        return None
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    if origins != [f"{scheme}://{hosts[0]}"]:
        return PlainTextResponse("Only this dashboard's own pages may ask.", 403)
    return None


def content_security_policy(host: str) -> str:
    """Return the Content-Security-Policy for a page served as `host`.

    Everything comes from this server, so a picture hidden in somebody's text cannot call out. Few allowances
    remain: inline styles (React, plotly and KaTeX write them), blob: scripts (how Streamlit loads the code of
    a component), data: fonts (KaTeX) and data: or blob: pictures (plotly's export).
    """
    # Some browsers do not count ws: under 'self'. Only a checked host may enter the header.
    socket = f" ws://{host} wss://{host}" if LOCAL_HOST.fullmatch(host) and "[" not in host else ""
    rules = {
        "default-src": "'none'",
        "script-src": f"'self' blob: '{INDEX_SCRIPT_HASH}'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self'{socket}",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _with_headers(send: Send, policy: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers.update(HEADERS)
        await send(message)

    return send_with_headers
