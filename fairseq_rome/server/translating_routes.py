"""The routes that LibreTranslate's clients know."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Dict, List

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fairseq_rome.errors import EditError
from fairseq_rome.server.bodies import BadRequest, authorise, body_of, checked_text, taken
from fairseq_rome.server.fix import Refused
from fairseq_rome.server.languages_told import LanguagesTold
from fairseq_rome.server.messages import DetectBody, SuggestBody, TranslateBody
from fairseq_rome.server.service import FixService
from fairseq_rome.server.translation_loop import check_lengths

# Seconds after which whoever asks for a translation is told to ask again.
_PATIENCE = 60.0


def add_translating(app: FastAPI, service: FixService) -> None:
    """Add the routes of LibreTranslate."""
    routes = _Translating(service)
    app.post("/translate", openapi_extra=taken(TranslateBody, form=True))(routes.translate)
    app.post("/suggest", openapi_extra=taken(SuggestBody, form=True))(routes.suggest)
    app.post("/detect", openapi_extra=taken(DetectBody, form=True))(routes.detect)

    @app.get("/languages")
    async def languages() -> List[Dict[str, Any]]:
        return routes.languages.listed()

    @app.get("/health")
    async def health() -> Dict[str, str]:
        return {"status": "ok"}

    @app.get("/frontend/settings")
    async def settings() -> Dict[str, Any]:
        return {
            "apiKeys": routes.service.spec.token is not None, "charLimit": routes.limits.characters,
            "frontendTimeout": 500, "keyRequired": False, "language": routes.languages.as_plain_pair(),
            "suggestions": True, "supportedFilesFormat": [],
        }  # fmt: skip


class _Translating:
    """What the routes do.

    Args:
        service: all that goes on with fixes.
    """

    def __init__(self, service: FixService) -> None:
        self.service = service
        self.limits = service.spec.limits
        self.languages = LanguagesTold(service.translator.adapter.languages)

    async def translate(self, request: Request) -> Dict[str, Any]:
        """The best translation of a text, or of several."""
        body = await body_of(request, TranslateBody, form=True)
        self.languages.check(body.source, body.target)
        if body.format != "text":
            raise BadRequest(400, f"format is {body.format[:20]!r}, expected text")
        texts = [body.q] if isinstance(body.q, str) else body.q
        translated = await self._translated(texts)
        told: Dict[str, Any] = {"translatedText": translated[0] if isinstance(body.q, str) else translated}
        if body.alternatives:
            told["alternatives"] = [] if isinstance(body.q, str) else [[] for _ in texts]
        if body.source == "auto":
            detected = self.languages.detected()[0]
            told["detectedLanguage"] = detected if isinstance(body.q, str) else [detected] * len(texts)
        return told

    async def _translated(self, texts: List[str]) -> List[str]:
        """Texts line by line; blanks around a line stay, and an empty line stays empty."""
        lines = [text.split("\n") for text in texts]
        flat = [line for several in lines for line in several]
        sentences = [checked_text(line, "q", self.limits) for line in flat if line.strip()]
        if len(sentences) > self.limits.sentences:
            raise BadRequest(413, f"{len(sentences)} sentences, expected at most {self.limits.sentences}")
        try:
            await run_in_threadpool(check_lengths, self.service.translator, sentences)
        except EditError as error:
            raise BadRequest(413, str(error)) from None
        future = asyncio.wrap_future(self.service.loop.translate(sentences))
        said = iter(await asyncio.wait_for(future, _PATIENCE))
        return ["\n".join(next(said) if line.strip() else line for line in several) for several in lines]

    async def suggest(self, request: Request) -> Dict[str, Any]:
        """A better translation, as LibreTranslate's clients hand it in: a fix."""
        body = await body_of(request, SuggestBody, form=True)
        authorise(request, self.service.spec.token, body.api_key or "")
        self.languages.check(body.source, body.target)
        source, target = (checked_text(text, name, self.limits) for name, text in (("q", body.q), ("s", body.s)))
        with suppress(Refused):  # what the model says already needs no fix
            await run_in_threadpool(self.service.submit, source, target)
        return {"success": True}

    async def detect(self, request: Request) -> List[Dict[str, Any]]:
        """The one source language."""
        await body_of(request, DetectBody, form=True)
        return self.languages.detected()
