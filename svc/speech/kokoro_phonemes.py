"""Words to Kokoro's phonemes: one alphabet, and one package for each language that writes it.

Kokoro's alphabet is IPA with single capital letters for diphthongs and ʧ ʤ ʦ ʣ for affricates, as in misaki.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from svc.speech import espeak
from svc.speech.speech import has_module, program

# espeak-ng writes the two sounds of one letter with a joiner between them.
JOINER = "\u200d"
JOINED = {
    "aɪ": "I",
    "aʊ": "W",
    "dz": "ʣ",
    "dʒ": "ʤ",
    "eɪ": "A",
    "oʊ": "O",
    "əʊ": "Q",
    "ts": "ʦ",
    "tʃ": "ʧ",
    "ɔɪ": "Y",
}
# Letters that the model has no number for, and those it was taught instead.
PLAIN = {"ɝ": "ɜɹ", "ɚ": "əɹ", "g": "ɡ"}


@dataclass(frozen=True)
class Language:
    """A language of Kokoro's voices: its tag, its English name, what reads it, and espeak-ng's name of it."""

    tag: str
    name: str
    reader: str
    espeak: str = ""


# By the first letter of a voice's name.
LANGUAGES = {
    "a": Language("en-US", "American English", "hibari"),
    "b": Language("en-GB", "British English", "hibari"),
    "z": Language("zh", "Mandarin", "misaki-zh"),
    "j": Language("ja", "Japanese", "misaki-ja"),
    "e": Language("es", "Spanish", "espeak", "es"),
    "f": Language("fr", "French", "espeak", "fr-fr"),
    "h": Language("hi", "Hindi", "espeak", "hi"),
    "i": Language("it", "Italian", "espeak", "it"),
    "p": Language("pt-BR", "Portuguese", "espeak", "pt-br"),
}


def lacking_phonemes(letter: str) -> str:
    """What must be installed to read the language of voices beginning with `letter`; "" when it is there."""
    reader = LANGUAGES[letter].reader
    if reader == "hibari":
        return "" if has_module("hibari") else "pip install 'svc-toolkit[speech]'"
    if reader == "misaki-zh":
        return "" if _all("misaki", "jieba", "pypinyin", "cn2an") else "pip install 'svc-toolkit[speech-zh]'"
    if reader == "misaki-ja":
        ready = _all("misaki", "pyopenjtalk", "fugashi", "jaconv", "mojimoji") and _dictionary()
        return "" if ready else "pip install 'svc-toolkit[speech-ja]'"
    return "" if program("espeak-ng") else "apt-get install espeak-ng"


def to_phonemes(sentence: str, letter: str, known: dict[str, int]) -> str:
    """A sentence in Kokoro's letters; what is not in `known` is left out."""
    language = LANGUAGES[letter]
    if language.reader == "espeak":
        spoken = from_ipa(espeak.phonemes(sentence, language.espeak))
    else:
        spoken = _reader(language.reader, letter == "b")(sentence)
    return "".join(c for c in spoken if c in known).strip()


def from_ipa(ipa: str) -> str:
    """espeak-ng's IPA in Kokoro's letters."""
    for pair, one in JOINED.items():
        ipa = ipa.replace(JOINER.join(pair), one)
    for old, new in PLAIN.items():
        ipa = ipa.replace(old, new)
    return ipa.replace(JOINER, "")


def _all(*modules: str) -> bool:
    return all(has_module(name) for name in modules)


def _dictionary() -> bool:
    """Whether fugashi finds a dictionary: unidic-lite has it in the package, unidic fetches one after installation."""
    return has_module("unidic_lite") or has_module("unidic")


@lru_cache
def _reader(name: str, british: bool) -> Callable[[str], str]:
    """A function from a sentence to phonemes; dictionaries are loaded once."""
    if name == "hibari":
        from hibari.g2p import G2P

        english: Callable[[str], str] = G2P(british=british)
        return english
    if name == "misaki-zh":
        import jieba
        from misaki.zh import ZHG2P

        jieba.setLogLevel(logging.WARNING)  # it tells of its dictionary at every start

        mandarin = ZHG2P()
        return lambda sentence: str(mandarin(sentence)[0])
    from misaki.ja import JAG2P

    # Its other way, without fugashi, writes letters that this model was not taught, and the pitch after the sentence.
    japanese = JAG2P("cutlet")
    return lambda sentence: str(japanese(sentence)[0])
