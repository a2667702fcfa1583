"""The two languages of a server, as clients know them."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from fairseq_rome.server.bodies import BadRequest
from fairseq_rome.text.languages.profile import base_code, profile_of

# Base codes of languages that are written from right to left: two letters, and NLLB-200's three.
_RIGHT_TO_LEFT = frozenset(
    "ar fa he iw ur yi ps sd ug dv ckb arb acm acq aeb ajp apc ars ary arz azb pes prs heb urd ydd pbt snd uig".split()
)
_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names by base code; a language without one is called by its code."""

AUTO = "auto"


class LanguagesTold:
    """What is told of the languages of a model.

    Args:
        languages: codes of source and target.
    """

    def __init__(self, languages: Tuple[str, str]) -> None:
        self.source, self.target = languages

    def check(self, source: str, target: str) -> None:
        """Refuse other languages; a region or a script does not count.

        Raises:
            BadRequest: naming what is expected.
        """
        for name, given, own in (("source", source, self.source), ("target", target, self.target)):
            alike = base_code(given) == base_code(own) or (name == "source" and given == AUTO)
            if not alike:
                raise BadRequest(400, f"{name} is {given[:20]!r}, expected {own}")

    def listed(self) -> List[Dict[str, Any]]:
        """The languages as LibreTranslate lists them."""
        pair: Tuple[Tuple[str, List[str]], ...] = ((self.source, [self.target]), (self.target, []))
        return [{"code": code, "name": _name(code), "targets": targets} for code, targets in pair]

    def detected(self) -> List[Dict[str, Any]]:
        """The one language that a source can be in."""
        return [{"language": self.source, "confidence": 100.0}]

    def as_plain_pair(self) -> Dict[str, Any]:
        """Both languages with code and name."""
        return {
            side: {"code": code, "name": _name(code)} for side, code in zip(("source", "target"), self._codes())
        }

    def as_plain(self) -> Dict[str, Any]:
        """What the page is told of them."""
        source, target = self._codes()
        return {
            "source": source, "target": target, "source_name": _name(source), "target_name": _name(target),
            "dir": {"source": _direction(source), "target": _direction(target)},
            "spaced": {"source": profile_of(source).spaced, "target": profile_of(target).spaced},
        }  # fmt: skip

    def _codes(self) -> Tuple[str, str]:
        return self.source, self.target


def _name(code: str) -> str:
    return _NAMES.get(base_code(code), code)


def _direction(code: str) -> str:
    return "rtl" if base_code(code) in _RIGHT_TO_LEFT else "ltr"
