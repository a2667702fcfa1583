"""When another attempt is made, and which one is kept."""

from __future__ import annotations

from typing import Optional

import pytest
from patch_samples import gate

from fairseq_rome.editing.attempts import BestAttempt
from fairseq_rome.editing.verdicts import Verdict


def attempt(held: bool, general: Optional[float], clean: Optional[float], computed: bool = True) -> BestAttempt:
    return BestAttempt(gate(1) if computed else None, Verdict("", held, general, clean, 0.1, ""))


@pytest.mark.parametrize(
    ("best", "enough", "same_site", "alone", "next_site"),
    [
        (attempt(False, 0.9, 0.9), False, True, True, True),
        (attempt(True, 0.9, 0.9), True, True, False, False),
        (attempt(True, None, None), True, True, False, False),
        # Pushing more at the same site shows an edit in more sentences; another site hardly ever does.
        (attempt(True, 0.7, 0.6), False, True, False, False),
        # What is not clean may be so at another site.
        (attempt(True, 0.9, 0.4), False, True, False, True),
        (attempt(True, 0.4, 0.3), False, True, False, True),
    ],
)
def test_what_is_left_to_try(best: BestAttempt, enough: bool, same_site: bool, alone: bool, next_site: bool) -> None:
    assert best.good_enough is enough
    assert best.leaves_to_try(elsewhere=False, carried=True) is same_site
    assert best.leaves_to_try(elsewhere=False, carried=False) is alone
    assert best.leaves_to_try(elsewhere=True, carried=True) is next_site


def test_what_holds_comes_first_then_what_is_clean_then_what_shows() -> None:
    order = [
        attempt(False, 0.0, 0.0, computed=False), attempt(False, 1.0, 1.0), attempt(True, 0.2, 0.1),
        attempt(True, 0.5, 0.5), attempt(True, 0.6, 0.5), attempt(True, 0.6, 0.6), attempt(True, None, None),
    ]  # fmt: skip
    for worse, better in zip(order, order[1:]):
        assert worse.better(better) is better
        assert better.better(worse) is better
        assert worse.better(worse) is worse
