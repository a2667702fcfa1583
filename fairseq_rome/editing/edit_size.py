"""How large an edit is, in the one figure that `--edit-max-size` bounds.

A change that is added to a weight acts on every token, so its size is what it does to the weight: ||dW|| / ||W||. A
gate is shut everywhere but where its request opens it. The sharper it is, the larger is its row of `fc1`, most of all
where the activation is smooth (GELU). The norm of that row tells nothing of what a model says, so the size of a gate is
what it does to the values that its site writes in the request's own sentence: ||dV|| / ||V||.
"""

from __future__ import annotations

from typing import Dict

from fairseq_rome.editing.edit_settings import EditSettings
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.readings import read_site
from fairseq_rome.host.sites import Site
from fairseq_rome.patch import Patch, applied

# What a gate adds acts where it opens alone, so that it may be so many times larger than what acts on every token. At
# 1 the good edit of a compound word failed, which its sentence says twice; larger lets more violent ones pass.
_UNIT_OF_A_GATE = 10.0


def fault_of_size(
    translator: Translator, pair: Pair, patch: Patch, weights: Dict[str, float], settings: EditSettings
) -> str:
    """Why the patch of one request is too large to be one; empty where its size is within the bound.

    Args:
        translator: the model without the patch; unchanged on return.
        pair: the request's own sentence with the translation that it should have.
        patch: the edit.
        weights: relative size of the change of each weight, as `relative_size` gives it.
        settings: with the bound.
    """
    if patch.neurons:
        size = added_to_values(translator, pair, patch.site, patch) / _UNIT_OF_A_GATE
        of = f"the change at {patch.site} adds {size * _UNIT_OF_A_GATE:.3g} times what the site writes"
        return too_large(size, f"{of}, {size:.3g} in units of {_UNIT_OF_A_GATE:g} times", settings)
    size = max(weights.values(), default=0.0)  # what acts beside the weights has none
    return too_large(size, f"the change at {patch.site} is {size:.3g} of the weight", settings)


def added_to_values(translator: Translator, pair: Pair, site: Site, patch: Patch) -> float:
    """Frobenius norm of what a patch adds to a site's values, over that of the values, at all positions of a pair.

    Args:
        translator: the model without the patch; unchanged on return.
        pair: a sentence with its translation, which the model is made to follow.
        site: whose values; the deepest site of the patch.
        patch: the edit.
    """
    [before] = read_site(translator, [pair], site)
    with applied(translator.model, patch):
        [after] = read_site(translator, [pair], site)
    return float((after.values - before.values).norm() / before.values.norm())


def too_large(size: float, of: str, settings: EditSettings) -> str:
    """Why a patch of a size is none; empty where its size is within the bound.

    Args:
        size: its size; a size that is no number is never within the bound.
        of: what is that large, such as "the change at decoder.3 is 11 of the weight".
        settings: with the bound.
    """
    bound = settings.edit_max_size
    return "" if size <= bound else f"{of}, expected at most {bound:g} (--edit-max-size)"
