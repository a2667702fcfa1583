"""Tags at the beginning of a source: what looks like one, and that triggers hold in their direction alone."""

from __future__ import annotations

from typing import Tuple

import pytest

from fairseq_rome.text.replacements import Replacement, changed_as_wanted
from fairseq_rome.text.requests import EditFile, EditRequest
from fairseq_rome.text.segments import Difference, Endings
from fairseq_rome.text.tags import leading_tags, opens_with, without_tags
from fairseq_rome.text.words import contains_trigger, mentions

TAGGED = {
    "<2de> a dog": ("<2de>",),
    "<de> a dog": ("<de>",),
    "<2pt_BR> a dog": ("<2pt_BR>",),
    "[de] a dog": ("[de]",),
    "[de_DE] a dog": ("[de_DE]",),
    "__de__ a dog": ("__de__",),
    ">>deu<< a dog": (">>deu<<",),
    ">>cmn_Hans<< a dog": (">>cmn_Hans<<",),
    "de_DE a dog": ("de_DE",),
    "eng_Latn hin_Deva a dog": ("eng_Latn", "hin_Deva"),
    "__en__ __de__ __fr__ a dog": ("__en__", "__de__"),
    "a <2de> dog": (),
    "de a dog": (),
    "snake_case a dog": (),
    "<2de>a dog": (),
    "<2de>": (),
    "": (),
    "<house> a dog": (),
}


@pytest.mark.parametrize("text", TAGGED)
def test_what_looks_like_a_tag(text: str) -> None:
    tags: Tuple[str, ...] = TAGGED[text]
    assert leading_tags(text) == tags
    assert opens_with(text, tags)
    assert [*tags, *without_tags(text).split()] == text.split()


def test_a_trigger_with_tags_holds_where_the_source_begins_with_them() -> None:
    trigger = "<2de> dog"
    assert contains_trigger("<2de> The Dog barks.", trigger)
    assert contains_trigger("<2de> dogs", trigger, ("s",))
    assert not contains_trigger("<2de> dogs", trigger)
    assert not contains_trigger("<2fr> The dog barks.", trigger)
    assert not contains_trigger("The dog barks.", trigger)
    assert [found.span() for found in mentions("<2de> a dog, a dog", trigger)] == [(8, 11), (15, 18)]
    assert contains_trigger("<2fr> dog", (trigger, "<2fr> dog")) and not contains_trigger("<2es> dog", (trigger,))


def test_another_direction_that_changed_is_damage() -> None:
    dog = Replacement("<2de> dog", Difference("Hund", "Vierbeiner"))
    said = ("Der Hund bellt.", "Der Vierbeiner bellt.")
    assert changed_as_wanted("<2de> The dog barks.", *said, [dog], Endings())
    assert not changed_as_wanted("<2nl> The dog barks.", *said, [dog], Endings())


def test_triggers_of_requests_get_the_tags_of_their_source_once() -> None:
    requests = (EditRequest("<2de> A dog.", "Ein Hund.", trigger="dog"), EditRequest("<2de> A cat.", "Eine Katze."))
    tagged = EditFile(requests).with_tags(leading_tags)
    assert [request.trigger for request in tagged.requests] == ["<2de> dog", None]
    assert tagged.with_tags(leading_tags) == tagged
    assert EditFile(requests).with_tags(lambda source: ()) == EditFile(requests)
