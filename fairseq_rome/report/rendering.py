"""The page and the card, each a function of a report's record alone."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from fairseq_rome.evaluation.conditions import METRICS
from fairseq_rome.report import markdown, view
from fairseq_rome.report import number_format as figures
from fairseq_rome.report.record import changed_rows
from fairseq_rome.report.seals import sealed

FEW = 12
"""How many entries of a list are unfolded; where there are more, only failed ones are, if these are few."""
FIRST = 25
"""How many entries of a list stand before its fold."""


def render_html(record: Mapping[str, Any]) -> str:
    """One page that needs nothing else: style, script and pictures are in it, and it may load no address.

    Args:
        record: from `report_record`, or read again from JSON.
    """
    environment = _environment(autoescape=True)
    environment.filters.update(sha256=_digest)
    requests = view.all_requests(record)
    page = environment.get_template("report.html.j2").render(
        _context(record),
        requests=requests,
        groups=view.probed_requests(requests),
        rows=changed_rows(dict(record)),
        tiles=view.tiles(record),
        source_lang=view.language(record, 0),
        target_lang=view.language(record, 1),
        few=FEW,
    )
    return sealed(page)


def render_card(record: Mapping[str, Any]) -> str:
    """The same in short, as a Markdown card to lay beside the checkpoint.

    Args:
        record: from `report_record`, or read again from JSON.
    """
    environment = _environment(finalize=markdown.escape)
    environment.filters.update(code=markdown.code, block=markdown.block)
    return sealed(environment.get_template("edit_card.md.j2").render(_context(record)))


def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=PackageLoader("fairseq_rome.report", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    names = ("percent", "signed", "fixed", "number", "duration", "size", "quantity", "label")
    environment.filters.update({name: getattr(figures, name) for name in names})
    environment.filters.update(passed_state=view.passed_state, request_state=view.request_state)
    return environment


def _context(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What both templates are given: the record, and what it leaves unsaid."""
    return {
        "notes": (),  # records of earlier versions have none
        **record,
        "state": view.verdict_state(record),
        "provenance": view.origin(record),
        "meanings": METRICS,
        "first": FIRST,
    }


def _digest(text: str) -> str:
    """The hash by which a content security policy knows an inline script or style."""
    return base64.b64encode(hashlib.sha256(str(text).encode("utf-8")).digest()).decode("ascii")
