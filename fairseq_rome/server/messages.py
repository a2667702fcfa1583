"""What clients may send, as OpenAPI describes it and as it is checked."""

from __future__ import annotations

from typing import List, Optional, Union

from pydantic import BaseModel, ConfigDict, Field


class Known(BaseModel):
    """A body of LibreTranslate's, whose clients may send more than is taken here."""

    model_config = ConfigDict(extra="ignore")


class Own(BaseModel):
    """A body of ours, in which a misspelt name is a fault."""

    model_config = ConfigDict(extra="forbid")


class TranslateBody(Known):
    """What is to be translated."""

    q: Union[str, List[str]] = Field(description="A text, or several; lines of a text are translated one by one.")
    source: str = Field(description="Code of the source language, or auto.")
    target: str = Field(description="Code of the target language.")
    format: str = Field("text", description="Only text.")
    alternatives: int = Field(0, description="Is taken, and none are given.")
    api_key: Optional[str] = None


class SuggestBody(Known):
    """A better translation."""

    q: str = Field(description="The source sentence.")
    s: str = Field(description="The translation that it should have.")
    source: str
    target: str
    api_key: Optional[str] = None


class DetectBody(Known):
    """A text of which the language is asked for."""

    q: str


class HunkChoice(Own):
    """What is to become of one hunk."""

    number: int = Field(ge=0, description="From /api/understand.")
    carried: bool = Field(description="Whether its change is carried to other sentences.")


class UnderstandBody(Own):
    """A correction that is not handed in yet."""

    source: str
    output: str = Field(description="What the server said.")
    target: str = Field(description="What it should say.")
    hunks: List[HunkChoice] = []


class FixBody(Own):
    """A correction."""

    source: str
    target: str = Field(description="The translation that the source should have.")
    who: str = Field("", max_length=100, description="A name; none is needed.")
    hunks: List[HunkChoice] = []


class NoBody(Own):
    """Nothing: what is written, and where, only whoever starts the server says."""
