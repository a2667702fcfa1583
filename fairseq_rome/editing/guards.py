"""Bounds that a run may not pass: how far the validation loss rises, and how many earlier edits must still hold."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.editing.model_under_edit import ModelUnderEdit
from fairseq_rome.editing.outcome import FAILED, NOTHING, Check, Result
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.decoding import Translator, bits_a_token
from fairseq_rome.methods.registry import method_named
from fairseq_rome.text.requests import EditRequest
from fairseq_rome.text.segments import Endings, holds

# Most edits that a check decodes again, evenly spread over the run. More measure their share better, and take time.
_SAMPLED = 64


def watched(settings: EditSettings, requests: int) -> bool:
    """Whether a run of so many requests is checked: with a batch method always, unless `edit_batch` is 0."""
    together = method_named(settings.method).together
    return settings.edit_batch > 0 and (together or requests > settings.edit_batch)


class Guard:
    """Looks at the model after each batch of requests.

    Args:
        translator: the model, which is now as it is before the run.
        validation: pairs of which the loss is measured.
        settings: with the bounds.
        endings: with which segments still count.
    """

    def __init__(
        self, translator: Translator, validation: Sequence[Pair], settings: EditSettings, endings: Endings
    ) -> None:
        self.translator = translator
        self.validation = validation
        self.settings = settings
        self.endings = endings
        self.loss = bits_a_token(translator, validation)

    def check(self, results: Sequence[Result]) -> Check:
        """How the model stands after the requests with these results."""
        loss = bits_a_token(self.translator, self.validation)
        # A batch method's patch is of all its requests, those as well that do not hold with it.
        chosen = _spread([result for result in results if result.patch is not None])
        texts = self.translator.translate(
            [result.request.source for result in chosen], "checking earlier edits"
        )
        held = [
            result.difference is None
            or holds(now.text, result.request.target, result.difference, self.endings.target)
            for result, now in zip(chosen, texts)
        ]
        share = sum(held) / len(held) if held else 1.0
        return Check(len(results), loss, loss - self.loss, share, len(held), self._fault(loss, share))

    def _fault(self, loss: float, held: float) -> str:
        rise, settings = loss - self.loss, self.settings
        if not rise <= settings.edit_max_loss:
            return (
                f"the validation loss rose from {self.loss:.3f} to {loss:.3f} bits a token, expected at most "
                f"{settings.edit_max_loss:g} more (--edit-max-loss)"
            )
        if held < settings.edit_min_held:
            return (
                f"{held:.0%} of a sample of the edits hold, expected at least {settings.edit_min_held:.0%} "
                "(--edit-min-held)"
            )
        return ""


def _spread(results: List[Result]) -> List[Result]:
    """Some of the results, evenly spread."""
    step = max(-(-len(results) // _SAMPLED), 1)
    return results[::step]


def kept_results(
    edited: ModelUnderEdit, requests: Sequence[EditRequest], results: List[Result], checks: Sequence[Check]
) -> List[Result]:
    """All results, or after a bound was passed those up to the last good check, with the other edits taken out.

    Args:
        edited: the model under edit, with the patches of the results.
        requests: all requests of the run.
        results: of those that were worked on, from the first.
        checks: in order; the last may have found a fault.

    Returns:
        A result for each request, unless nothing was at fault.
    """
    if not checks or not checks[-1].fault:
        return results
    fault = checks[-1].fault
    good = max((check.requests for check in checks if not check.fault), default=0)
    edited.roll_back(sum(result.patch is not None for result in results[:good]))
    kept = results[:good]
    for number, request in enumerate(requests[good:], start=good):
        done = results[number] if number < len(results) else Result(request, FAILED, "", "")
        if done.status == NOTHING:
            kept.append(done)
            continue
        why = "taken out again" if done.patch else "not begun" if number >= len(results) else "stopped"
        own = done.reason if done.status == FAILED and not done.patch else ""
        kept.append(replace(done, status=FAILED, patch=None, reason=own or f"{why}: {fault}"))
    return kept
