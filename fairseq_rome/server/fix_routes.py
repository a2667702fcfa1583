"""Our own routes: fixes, what becomes of them, and what the server is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Dict, List, Optional

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from fairseq_rome.errors import EditError
from fairseq_rome.server.bodies import BadRequest, authorise, body_of, checked_text, taken
from fairseq_rome.server.fix import STATES, Choices
from fairseq_rome.server.guard import REPORT_POLICY
from fairseq_rome.server.languages_told import LanguagesTold
from fairseq_rome.server.messages import FixBody, HunkChoice, NoBody, UnderstandBody
from fairseq_rome.server.service import FixService
from fairseq_rome.server.translation_loop import Busy
from fairseq_rome.version import __version__

_MOST_LISTED = 200
# Seconds after which whoever waits for a worker is told to ask again.
_PATIENCE = 60.0


def add_fixes(app: FastAPI, service: FixService) -> None:
    """Add our own routes."""
    routes = _Fixes(service)
    app.get("/api/info")(routes.info)
    app.post("/api/understand", openapi_extra=taken(UnderstandBody))(routes.understand)
    app.post("/fixes", status_code=201, openapi_extra=taken(FixBody))(routes.submit)
    app.get("/fixes")(routes.fixes)
    app.post("/fixes/bake", status_code=202, openapi_extra=taken(NoBody))(routes.bake)
    app.get("/fixes/{number}")(routes.fix)
    app.get("/fixes/{number}/report", response_class=HTMLResponse)(routes.report)
    app.post("/fixes/{number}/undo")(routes.undo)
    app.get("/events", response_class=StreamingResponse)(routes.events)


class _Fixes:
    """What the routes do.

    Args:
        service: all that goes on with fixes.
    """

    def __init__(self, service: FixService) -> None:
        self.service = service
        self.limits = service.spec.limits
        self.languages = LanguagesTold(service.translator.adapter.languages)

    async def understand(self, request: Request) -> Dict[str, Any]:
        """How a correction is understood, and what it would change elsewhere, before it is handed in."""
        body = await body_of(request, UnderstandBody)
        texts = [checked_text(getattr(body, name), name, self.limits) for name in ("source", "output", "target")]
        work = await run_in_threadpool(self.service.understand, texts[0], texts[1], texts[2], _choices(body.hunks))
        return await asyncio.wait_for(asyncio.wrap_future(work), _PATIENCE)

    async def submit(self, request: Request) -> JSONResponse:
        """A correction comes in; 201, or 200 if it is in the queue already."""
        authorise(request, self.service.spec.token)
        body = await body_of(request, FixBody)
        source, target = (checked_text(getattr(body, name), name, self.limits) for name in ("source", "target"))
        who = checked_text(body.who, "who", self.limits) if body.who.strip() else ""
        fix, new = await run_in_threadpool(self.service.submit, source, target, who, _choices(body.hunks))
        return JSONResponse({"fix": self.service.told(fix)}, 201 if new else 200)

    async def fixes(
        self, state: str = "", who: str = "", q: str = "", limit: int = 50, before: Optional[int] = None
    ) -> Dict[str, Any]:
        """The newest fixes, and how many there are in each state."""
        if state and state not in STATES:
            raise BadRequest(400, f"state is {state[:20]!r}, expected one of {', '.join(STATES)}")
        if not 1 <= limit <= _MOST_LISTED:
            raise BadRequest(400, f"limit is {limit}, expected 1 to {_MOST_LISTED}")
        found, counts = await run_in_threadpool(self.service.listed, state, who, q, limit, before)
        return {"fixes": found, "counts": counts}

    async def fix(self, number: int) -> Dict[str, Any]:
        """A fix with the evidence of its proof."""
        return await run_in_threadpool(self.service.detail, number)

    async def report(self, number: int) -> Response:
        """The report on the edits of a fix, a page that runs nothing."""
        work = asyncio.wrap_future(self.service.report(number))
        try:
            page = await asyncio.wait_for(work, _PATIENCE)
        except EditError as error:
            raise BadRequest(404, str(error)) from None
        return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})

    async def undo(self, number: int, request: Request) -> Dict[str, Any]:
        """Take a fix out."""
        authorise(request, self.service.spec.token)
        return {"fix": self.service.told(await run_in_threadpool(self.service.undo, number))}

    async def bake(self, request: Request) -> JSONResponse:
        """Write a checkpoint with all that is proven, where whoever started the server named its file."""
        authorise(request, self.service.spec.token)
        await body_of(request, NoBody)
        return JSONResponse({"bake": (await run_in_threadpool(self.service.bake)).as_plain()}, 202)

    async def events(self, request: Request) -> StreamingResponse:
        """What happens to fixes, as server-sent events."""
        stream = self.service.events
        if stream.listeners >= self.limits.streams:
            raise Busy
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdecimal() and len(last) < 20 else None
        return StreamingResponse(stream.stream(after), media_type="text/event-stream")

    async def info(self) -> Dict[str, Any]:
        """What the server translates with, and what it takes."""
        spec = self.service.spec
        limits = {"characters": spec.limits.characters, "sentences": spec.limits.sentences}
        return {
            **self.languages.as_plain(), "model": Path(spec.model.path).name, "version": __version__,
            "needs_token": spec.token is not None, "bakes": spec.bake_to is not None, "limits": limits,
            "samples": spec.settings.edit_sample,
        }  # fmt: skip


def _choices(hunks: List[HunkChoice]) -> Choices:
    return tuple((one.number, one.carried) for one in hunks)
