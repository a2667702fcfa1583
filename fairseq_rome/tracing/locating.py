"""From a request to its trace."""

from __future__ import annotations

from typing import Optional

from fairseq_rome.errors import EditError
from fairseq_rome.host.corpus import Corpus
from fairseq_rome.host.decoding import Hypothesis, Translator
from fairseq_rome.host.examples import make_example
from fairseq_rome.host.sites import prepared
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.tracing.attribution import find_trigger
from fairseq_rome.tracing.carry import trace_carry
from fairseq_rome.tracing.causal_trace import CARRY, CausalTrace
from fairseq_rome.tracing.locate_settings import LocateSettings
from fairseq_rome.tracing.noise import trace_noise


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
