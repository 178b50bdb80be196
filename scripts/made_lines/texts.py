"""Random lines of eight languages in Kokoro's phonemes.

English and Mandarin are words of a lexicon in random order, with their text; the others are made of syllables that the
language allows, so they have phonemes but mean nothing and have no text.
"""

import json
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from made_lines.mandarin import phonemes as mandarin_phonemes

VOWELS = set("aeiouyæøœɐɑɒɔəɚɛɜɤɨɪɯʊʌᵻAIOWYQ")
FORBIDDEN = ("kids are talking by the door", "dogs are sitting by the door")
"""What evaluation sings: no four words in a row of these may be in what trains a shipped file."""


@dataclass(frozen=True)
class Line:
    """`text` is empty where the words mean nothing."""

    language: str
    text: str
    phonemes: str


@dataclass(frozen=True)
class Sounds:
    """What syllables are made of (onsets, vowels, codas, apart by blanks) and which one of a word is stressed."""

    onsets: str
    vowels: str
    codas: str
    coda_share: float = 0.25
    stressed: int = -2
    softened: tuple[tuple[str, str], ...] = ()
    """Onsets that sound otherwise inside a word."""


COMPOSED = {
    "es": Sounds(
        "p b t d k m n ɲ s f x r l ʧ ɡ tɾ pɾ kl bɾ θ", "a e i o u a e o je we", "n s ɾ l",
        softened=(("b", "β"), ("d", "ð"), ("ɡ", "ɣ"), ("r", "ɾ")),
    ),
    "fr": Sounds(
        "p b t d k ɡ m n ɲ s z f v ʃ ʒ l ʁ tʁ pʁ bl kl", "a e i o u y ø œ ɛ ɔ ɑ̃ ɛ̃ ɔ̃ wa", "l ʁ s t k", stressed=-1
    ),
    "it": Sounds("p b t d k ɡ m n ɲ ʎ s f v r l ʧ ʤ ʃ dz ts tr pr", "a e i o u a e o ɛ ɔ", "n r l s"),
    "pt": Sounds("p b t d k ɡ m n ɲ s z f v ʃ ʒ l ʎ x tɾ pɾ", "a e i o u ɛ ɔ æ ə̃ ə̃ʊ̃ ow ẽ ĩ õ ũ", "s ɾ w", 0.2,
        softened=(("x", "ɾ"),),
    ),
    "hi": Sounds(
        "p pʰ b bʰ t tʰ d dʰ ʈ ʈʰ ɖ k kʰ ɡ ʧ ʤ m n s ʃ h l ɾ j v", "ə a aː ɪ iː ʊ uː eː oː ɛː ɔː", "n m ɾ l t k"
    ),
}  # fmt: skip
MORAE = """
a i ɯ e o ka ki kɯ ke ko sa ɕi sɨ se so ta ʨi ʦɨ te to na ɲi nɯ ne no ha çi ɸɯ he ho ma mi mɯ me mo ja jɯ jo
ɾa ɾi ɾɯ ɾe ɾo wa ɡa ɡi ɡɯ ɡe ɡo za ʥi zɨ ze zo da de do ba bi bɯ be bo pa pi pɯ pe po
kʲa kʲo ɕa ɕɯ ɕo ʨa ʨɯ ʨo ɲa ɲo ça çɯ ço mʲa ɾʲa ɾʲɯ ɾʲo ʥa ʥɯ ʥo bʲo pʲo
"""
WEIGHTS = {"en": 38, "zh": 24, "ja": 14, "es": 5, "fr": 5, "it": 5, "pt": 5, "hi": 4}


class Texts:
    """Lines of every language; `english` and `chinese` are the lexicon files that made_lines.parts fetches."""

    def __init__(self, english: Path, chinese: Path) -> None:
        self.english = english_words(json.loads(english.read_text(encoding="utf-8")))
        self.chinese = chinese_words(json.loads(chinese.read_text(encoding="utf-8")))

    def line(self, language: str, rng: random.Random) -> Line:
        """A random line; it never holds four words in a row of FORBIDDEN."""
        while True:
            line = self._line(language, rng)
            if not is_forbidden(line.text):
                return line

    def _line(self, language: str, rng: random.Random) -> Line:
        if language == "en":
            words = rng.sample(self.english, rng.randint(4, 7))
            return Line(language, " ".join(w for w, _ in words), " ".join(p for _, p in words))
        if language == "zh":
            words = rng.sample(self.chinese, rng.randint(3, 5))
            return Line(language, "".join(w for w, _ in words), " ".join(p for _, p in words))
        if language == "ja":
            return Line(language, "", " ".join(japanese_word(rng) for _ in range(rng.randint(4, 5))))
        sounds = COMPOSED[language]
        return Line(language, "", " ".join(composed_word(sounds, rng) for _ in range(rng.randint(5, 7))))


def english_words(lexicon: dict[str, str | dict[str, str | None]]) -> list[tuple[str, str]]:
    """Words of 3 to 9 letters with phonemes as the engine's other lexicons write them (ə for ᵊ)."""
    found = []
    for word, entry in lexicon.items():
        said = entry["DEFAULT"] if isinstance(entry, dict) else entry
        if said and word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 9:
            found.append((word, said.replace("ᵊ", "ə")))
    return found


def chinese_words(lexicon: dict[str, list[list[str]]]) -> list[tuple[str, str]]:
    """Words of two or three characters with the phonemes of their first reading."""
    found = []
    for word, readings in lexicon.items():
        if 2 <= len(word) <= 3 and all("\u4e00" <= c <= "\u9fff" for c in word) and len(readings) == len(word):
            try:
                found.append((word, "".join(mandarin_phonemes(reading[0]) for reading in readings)))
            except KeyError:
                continue
    return found


def japanese_word(rng: random.Random) -> str:
    """Two to four morae, some long, some closed by a nasal."""
    word = ""
    for _ in range(rng.randint(2, 4)):
        word += rng.choice(MORAE.split()) + ("ː" if rng.random() < 0.12 else "") + ("ɴ" if rng.random() < 0.1 else "")
    return word


def composed_word(sounds: Sounds, rng: random.Random) -> str:
    """One to three syllables, one of them stressed (the mark stands before its vowel)."""
    count = rng.randint(1, 3)
    stressed = max(0, count + sounds.stressed)
    word = ""
    for k in range(count):
        onset, vowel = rng.choice(sounds.onsets.split()), rng.choice(sounds.vowels.split())
        if k:
            onset = dict(sounds.softened).get(onset, onset)
        coda = rng.choice(sounds.codas.split()) if rng.random() < sounds.coda_share else ""
        glide = len(vowel) - len(vowel.lstrip("jw"))
        word += onset + vowel[:glide] + ("ˈ" if k == stressed else "") + vowel[glide:] + coda
    # The vocabulary has the nasal mark by itself only.
    return unicodedata.normalize("NFD", word)


def is_forbidden(text: str) -> bool:
    """Whether four words in a row of a FORBIDDEN sentence are in the text."""
    words = text.lower().split()
    runs = {tuple(words[i : i + 4]) for i in range(len(words) - 3)}
    known = (sentence.split() for sentence in FORBIDDEN)
    return any(tuple(sentence[i : i + 4]) in runs for sentence in known for i in range(len(sentence) - 3))


def vowel_places(phonemes: Sequence[str]) -> list[int]:
    """Index of every vowel."""
    return [i for i, c in enumerate(phonemes) if c in VOWELS]
