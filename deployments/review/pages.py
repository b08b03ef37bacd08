"""The review's page: one HTML file with one script and one style, and the JSON that its screens are drawn from."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deployments.review import screens
from deployments.review.auth import refusal
from deployments.review.near import near_ones
from scd_core.audit.report.page import live_page
from scd_core.audit.review.session import ReviewSession

__all__ = ["KEYS", "routes"]

_STATIC = {"review.js": "text/javascript; charset=utf-8", "review.css": "text/css; charset=utf-8"}

_REPORT_HEADERS = {
    # The report has its styles and pictures inside, and no script.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'"
}

KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Enter",), "confirm the name"),
    (("1", "2", "3", "4", "5"), "one of the five most probable names"),
    (("/",), "another name; any letter that is no key begins to type one"),
    (("U",), "unknown: none of the known ones"),
    (("N",), "a new individual"),
    (("B",), "no animal in the picture"),
    (("X",), "an animal, but nobody can tell which"),
    (("L", "R"), "left or right flank, for the answer that follows"),
    (("F",), "answer this frame only, not the whole event"),
    (("D",), "draw a box around an animal"),
    (("Z",), "undo the last answer"),
    (("S",), "skip"),
    (("←", "→"), "frames of the event, or animals in them"),
    (("↑", "↓"), "the picture before, the one after"),
    (("Space",), "picture, evidence, contrast, what the network saw again"),
    (("H",), "fill the evidence with colour"),
    (("+", "-", "0"), "larger, smaller, all of it; also the wheel and two fingers"),
    (("Shift ←",), "move the enlarged picture, in each direction"),
    ((".", ","), "brighter, darker"),
    (("Y", "N"), "two pictures side by side: the same, different"),
    (("?",), "this list"),
)
"""Keys of the page, in the order of its list of keys, with what each does."""


def routes(session: ReviewSession) -> list[Route]:
    """``/`` is the page, ``/static`` its script and style, ``/page`` what its screens are drawn from.

    Args:
        session: the review.
    """
    pages = _Pages(session)
    get = ["GET"]
    return [
        Route("/", pages.page, methods=get),
        Route("/static/{name}", pages.static, methods=get),
        Route("/report", pages.report, methods=get),
        Route("/page/home", pages.home, methods=get),
        Route("/page/screen", pages.screen, methods=get),
        Route("/page/last", pages.last, methods=get),
        Route("/page/near", pages.near, methods=get),
        Route("/page/references", pages.references, methods=get),
    ]


class _Pages:
    def __init__(self, session: ReviewSession) -> None:
        self._session = session

    def page(self, request: Request) -> Response:
        """The page itself; all that it shows comes later, as JSON, and is set as text."""
        token = request.query_params.get("token")
        suffix = f"?{urlencode({'token': token})}" if token else ""
        content = _template().render(
            title=self._session.store.url.rstrip("/").rsplit("/", 1)[-1],
            out_id=hashlib.sha256(self._session.store.url.encode()).hexdigest()[:12],
            who=request.state.who,
            keys=KEYS,
            style=f"/static/review.css{suffix}",
            script=f"/static/review.js{suffix}",
        )
        return HTMLResponse(content)

    def static(self, request: Request) -> Response:
        """The script or the style; nothing else."""
        name = request.path_params["name"]
        if name not in _STATIC:
            return refusal(404, "there is no such file")
        return Response(_static(name), media_type=_STATIC[name])

    def report(self, request: Request) -> Response:
        """The newest report, its links into the review made live."""
        page = self._session.store.get_file("report/index.html")
        if page is None:
            return refusal(404, "OUT has no report yet; make one: trapaudit report OUT")
        token = request.query_params.get("token")
        review = f"/?{urlencode({'token': token}) + '&' if token else ''}at="
        return HTMLResponse(live_page(page.decode("utf-8", "replace"), review), headers=_REPORT_HEADERS)

    def home(self, request: Request) -> Response:
        """The queues, each with a short title and what is in it."""
        self._session.refresh()
        return JSONResponse(screens.queues(self._session, str(request.state.who)))

    def screen(self, request: Request) -> Response:
        """What the page shows for ``target`` in ``queue``."""
        target_id, queue = request.query_params.get("target", ""), request.query_params.get("queue")
        found = screens.screen(self._session, target_id, queue, str(request.state.who))
        return refusal(404, "OUT has no such picture") if found is None else JSONResponse(found)

    def references(self, request: Request) -> Response:
        """Labelled pictures of the two names of ``target``, those of ``flank`` first."""
        row = self._session.target(request.query_params.get("target", ""))
        if row is None:
            return refusal(404, "OUT has no such picture")
        of_event = {one["media_id"] for one in screens.rows_of_event(self._session, row["target_id"])}
        return JSONResponse(screens.references(self._session, row, request.query_params.get("flank"), of_event))

    def last(self, request: Request) -> Response:
        """This person's newest answer since the report, for undo after the page was opened again; empty where there is none."""
        return JSONResponse(self._session.last_of(str(request.state.who)) or {})

    def near(self, request: Request) -> Response:
        """Known individuals that a new one called ``name`` in ``target`` may be."""
        row = self._session.target(request.query_params.get("target", ""))
        if row is None:
            return refusal(404, "OUT has no such picture")
        return JSONResponse(near_ones(self._session, row, request.query_params.get("name", "")[:200]))


@cache
def _static(name: str) -> bytes:
    return resources.files("deployments.review").joinpath("static", name).read_bytes()


@cache
def _template() -> Template:
    loader = PackageLoader("deployments.review", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("review.html.j2")
