"""Which sites a case tries, in which order, and which sites a batch method changes together."""

from __future__ import annotations

from typing import List, Optional, Sequence

from torch import nn

from fairseq_rome.cases.case import Case
from fairseq_rome.editing.edit_settings import TRACED, EditSettings
from fairseq_rome.errors import EditError
from fairseq_rome.host.decoding import Translator
from fairseq_rome.host.sites import FFN, OUTPUTS, Site, find_sites
from fairseq_rome.methods.registry import method_named
from fairseq_rome.tracing import LocateSettings, locate, order_to_try, ranked_sites


def sites_of(translator: Translator, case: Case, settings: EditSettings) -> List[Site]:
    """The sites of a case: those that a batch method changes together, or those to try in their order."""
    if method_named(settings.method).together:
        return range_of(list(find_sites(translator.model)), settings)
    return sites_for(translator, case, settings)


def sites_for(translator: Translator, case: Case, settings: EditSettings) -> List[Site]:
    """The sites in the order in which a case tries them: as `plan`, or with `traced` as a trace of it ranks them.

    A method that looks at texts alone has one try, at no site of the model.
    """
    if not method_named(settings.method).at_site:
        return [OUTPUTS]
    planned = plan(list(find_sites(translator.model)), settings)
    if settings.site != TRACED:
        return planned
    try:
        traced = locate(
            translator, case.request, case.before, LocateSettings(seed=settings.seed, kinds=(FFN,))
        )
    except EditError:  # nothing to trace, such as a trigger that the source does not hold
        return planned
    return order_to_try(ranked_sites(traced))


def plan(model_sites: Sequence[Site], settings: EditSettings) -> List[Site]:
    """The sites that may be tried: those asked for, or the decoder's from the last down.

    Raises:
        EditError: if a site that was asked for is not in the model.
    """
    if not settings.sites:
        return [site for site in reversed(model_sites) if site.in_decoder]
    asked = [Site.parse(text) for text in settings.sites]
    for site in asked:
        if site not in model_sites:
            raise EditError(
                f"no site {site} in this model, expected one of: {', '.join(map(str, model_sites))}"
            )
    return asked


def early_site(model: nn.Module, site: Site, settings: EditSettings) -> Optional[Site]:
    """The first site of the decoder, where gates behind new words go; None for a method or a site without them."""
    if not (method_named(settings.method).takes_neurons and settings.method_values.get("edit_follow", False)):
        return None
    first = next(one for one in find_sites(model) if one.stack == site.stack)
    return first if site.in_decoder and first.layer < site.layer else None


def measured_together(model: nn.Module, site: Site, settings: EditSettings) -> List[Site]:
    """A site and those of its stack that the settings mostly need besides, to be measured in one pass."""
    if method_named(settings.method).together:
        others = range_of(list(find_sites(model)), settings)
    else:
        others = [one for one in [early_site(model, site, settings)] if one is not None]
    return [site, *(one for one in others if one.stack == site.stack and one != site)]


def range_of(model_sites: Sequence[Site], settings: EditSettings) -> List[Site]:
    """The sites that a batch method changes, the shallowest first: those asked for, or the decoder's last few."""
    sites = plan(model_sites, settings)
    chosen = sites if settings.sites else sites[: method_named(settings.method).spread]
    return sorted(chosen, key=model_sites.index)
