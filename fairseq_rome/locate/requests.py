"""From a request to its trace."""

from __future__ import annotations

from typing import Optional

from fairseq_rome.contexts import find_trigger, make_example
from fairseq_rome.corpus import Corpus
from fairseq_rome.decoding import Hypothesis, Translator
from fairseq_rome.errors import EditError
from fairseq_rome.locate.carry import trace_carry
from fairseq_rome.locate.model import CARRY, CausalTrace
from fairseq_rome.locate.noise import trace_noise
from fairseq_rome.locate.settings import LocateSettings
from fairseq_rome.requests import EditRequest
from fairseq_rome.sites import prepared


def locate(
    translator: Translator,
    request: EditRequest,
    before: Hypothesis,
    settings: LocateSettings,
    corpus: Optional[Corpus] = None,
) -> CausalTrace:
    """Trace one request.

    Args:
        translator: the model; unchanged on return.
        request: the request.
        before: what the model says now.
        settings: how to trace.
        corpus: where positive sentences come from in the mode `carry`, which needs it.

    Raises:
        EditError: if there is nothing to trace.
    """
    codec, target = translator.codec, request.target
    if before.text in (target, codec.target_text(codec.target(target))):
        raise EditError("the model already says the target: there is nothing to locate")
    if settings.mode == CARRY and corpus is None:
        raise EditError("no corpus is given, expected one in the mode carry")
    with prepared(translator.model):
        trigger = request.trigger or find_trigger(translator, request.source, before, target)
    example = make_example(codec, request.source, before, target, trigger)
    if settings.mode == CARRY and corpus is not None:
        return trace_carry(translator, example, corpus, trigger, settings, request.id)
    return trace_noise(translator, example, before.tokens, trigger, settings, request.id)
