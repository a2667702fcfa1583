"""Training sides as plain text, for what is read off them without a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, FrozenSet, List, Sequence, Tuple

import torch

from fairseq_rome.cases.hunk_reading import Sides
from fairseq_rome.host.batches import Pair
from fairseq_rome.host.corpus import Corpus

# English, then a German noun with its plural and its article.
NOUNS = [
    ("dog", "dogs", "Hund", "Hunde", "Der"), ("cat", "cats", "Katze", "Katzen", "Die"),
    ("bike", "bikes", "Fahrrad", "Fahrräder", "Das"), ("horse", "horses", "Pferd", "Pferde", "Das"),
    ("car", "cars", "Auto", "Autos", "Das"), ("woman", "women", "Frau", "Frauen", "Die"),
    ("house", "houses", "Haus", "Häuser", "Das"), ("city", "cities", "Stadt", "Städte", "Die"),
    ("tree", "trees", "Baum", "Bäume", "Der"), ("book", "books", "Buch", "Bücher", "Das"),
    ("newspaper", "newspapers", "Zeitung", "Zeitungen", "Die"), ("ship", "ships", "Schiff", "Schiffe", "Das"),
]  # fmt: skip
ADJECTIVES = [
    ("old", "alt"), ("young", "jung"), ("big", "groß"), ("small", "klein"), ("green", "grün"), ("red", "rot"),
    ("new", "neu"), ("heavy", "schwer"), ("quick", "schnell"), ("slow", "langsam"), ("loud", "laut"),
]  # fmt: skip


def english_german() -> List[Tuple[str, str]]:
    """Sentences with every noun and its plural beside every adjective; a car is an `Auto` and as often a `Wagen`."""
    found = []
    for noun, nouns, wort, wörter, artikel in NOUNS:
        for number, (adjective, adjektiv) in enumerate(ADJECTIVES):
            one = "Wagen" if noun == "car" and number % 2 else wort
            found.append((f"The {noun} is {adjective}.", f"{artikel} {one} ist {adjektiv}."))
            found.append((f"The {nouns} are {adjective}.", f"Die {wörter} sind {adjektiv}."))
    return found


def corpus_of(texts: Sequence[Tuple[str, str]]) -> Corpus:
    """A corpus of which only the texts are looked at."""
    pairs = tuple(Pair(torch.tensor([number]), torch.tensor([number])) for number in range(len(texts)))
    corpus = Corpus("train", pairs, PlainCodec())
    vars(corpus).update(sources=[source for source, _ in texts], targets=[target for _, target in texts])
    return corpus


def sides_of(source_lang: str, target_lang: str, texts: Sequence[Tuple[str, str]]) -> Sides:
    return Sides((source_lang, target_lang), corpus_of(texts))


@dataclass(frozen=True)
class PlainCodec:
    """Stands in for a codec: text stays text, and its subwords are those that are listed, or else words.

    Args:
        pieces: subwords of more than one character, in a script without blanks.
    """

    pieces: Tuple[str, ...] = ()

    def target(self, text: str) -> Any:
        return text

    def target_text(self, tokens: Any) -> str:
        return tokens

    def piece_starts(self, text: str) -> FrozenSet[int]:
        choice = "|".join([*map(re.escape, self.pieces), r"[a-zA-ZäöüßÄÖÜ]+", r"\S"])
        return frozenset(match.start() for match in re.finditer(choice, text))


UNSPACED = {
    "zh": "dog 狗, computer 电脑, software 软件, hospital 医院, teacher 老师, school 学校, newspaper 报纸, bread 面包, "
    "phone 手机, river 河流, window 窗户, garden 花园, old 旧, new 新, big 大, small 小, red 红, good 好, clean 干净, "
    "cheap 便宜, quiet 安静, dark 黑暗, warm 温暖",
    "ja": "dog 犬, computer コンピューター, software ソフトウェア, hospital 病院, teacher 先生, school 学校, "
    "newspaper 新聞, coffee コーヒー, phone 電話, river 川, window 窓, garden 庭, old 古い, new 新しい, big 大きい, "
    "small 小さい, red 赤い, good 良い, clean 綺麗, cheap 安い, quiet 静か, dark 暗い, warm 暖かい",
}
_SENTENCES = {
    "zh": ("这个{0}很{1}。", "我的{0}不{1}吗？", "他喜欢{1}的{0}。"),
    "ja": ("この{0}は{1}です。", "私の{0}が{1}のか。", "{1}{0}を好む。"),
}
_IN_ENGLISH = ("This {0} is {1}.", "Is my {0} not {1}?", "He likes the {1} {0}.")


def without_blanks(language: str) -> List[Tuple[str, str]]:
    """Sentences with every noun beside every adjective, in a language that puts no blanks between words."""
    known = [pair.split() for pair in UNSPACED[language].split(", ")]
    return [
        (_IN_ENGLISH[(i + j) % 3].format(noun, adjective), _SENTENCES[language][(i + j) % 3].format(word, other))
        for i, (noun, word) in enumerate(known[:12])
        for j, (adjective, other) in enumerate(known[12:])
    ]
