from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from checker_runs import DIRECTIONS, alarms_on_references, assert_judges_cases, fault


def test_judges_as_a_person_does() -> None:
    # Missed, all without training pairs: German nouns within an English sentence, and words that begin one.
    assert_judges_cases("untranslated", precision=0.95, recall=0.85)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(("source_lang", "target_lang"), DIRECTIONS)
def test_references_are_right(source_lang: str, target_lang: str, trained: bool) -> None:
    assert alarms_on_references("untranslated", source_lang, target_lang, trained) <= 0.02


@pytest.mark.parametrize(
    ("direction", "source", "output", "expected"),
    [
        ("en-de", "The dog sleeps.", "Der dog sleeps.", "copies 'dog', 'sleeps'"),
        ("en-de", "The dog sleeps.", "The dog sleeps!", "leaves the source as it is"),
        ("en-de", "He met Ann Lee in Rome.", "Er traf Ann Lee in Rome.", None),
        ("en-de", "The House of Cards is closed.", "The House of Cards ist zu.", None),
        ("en-de", "The Cards are here.", "The Cards sind da.", "copies 'The'"),
        ("de-en", "Der Hund von Anna schläft.", "Der Hund von Anna is asleep.", "copies 'Der'"),
        ("en-de", "a b c", "a b c", None),
        ("en-de", "See x@dogs.org and 3rd.", "Siehe x@dogs.org und 3rd.", None),
        ("en-de", "It costs 5 dollar.", "Es kostet 5 dollar.", None),
        ("en-de", "He said no. Then he left.", "Er sagte Nein. Then ging er.", "copies 'Then'"),
        ("en-fr", "The table is set.", "La table est mise.", None),
        ("en-fr", "Dogs sleep.", "Dogs sleep.", "leaves the source as it is"),
        ("en-fr", "The dogs sleep.", "The dogs dorment.", "copies 'The', 'dogs'"),
        ("zh-en", "我喜欢喝茶", "我喜欢喝茶", "leaves the source as it is"),
        ("en-de", "", "", None),
    ],
)
def test_fault(direction: str, source: str, output: str, expected: Optional[str]) -> None:
    assert fault("untranslated", direction, source, output) == expected


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ([], None),
        ([("a Hund", "a dog")], "copies 'Hund'"),
        ([("a Hund", "a dog")] * 60 + [("a Hund", "a Hund")], "copies 'Hund'"),
        ([("a Hund", "a dog")] * 40 + [("a Hund", "a Hund")], None),
        ([("a Hund", "a dog")] + [("a Katze", "a hund")] * 2, "copies 'Hund'"),
        ([("a Hund", "a dog")] + [("a Katze", "a hund")] * 3, None),
    ],
)
def test_what_the_training_side_copies_is_no_fault(
    training: List[Tuple[str, str]], expected: Optional[str]
) -> None:
    assert (
        fault("untranslated", "de-en", "Mein Hund schläft.", "My Hund sleeps.", training=training) == expected
    )
