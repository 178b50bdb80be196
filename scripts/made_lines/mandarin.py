"""Pinyin to the phonemes of Kokoro, after the tables of Mandarin phonology (Duanmu 2007, Lin 2007)."""

import unicodedata

TONES = {"\u0304": "→", "\u0301": "↗", "\u030c": "↓", "\u0300": "↘"}
INITIALS = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l",
    "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "z": "ʦ", "c": "ʦʰ", "s": "s", "r": "ɻ",
}  # fmt: skip
# Before, at and behind the place of the tone mark.
FINALS = {
    "a": "a|", "ai": "ai|", "an": "a|n", "ang": "a|ŋ", "ao": "au|", "e": "ɤ|", "ei": "ei|", "en": "ə|n", "eng": "ə|ŋ",
    "i": "i|", "ia": "ja|", "ian": "jɛ|n", "iang": "ja|ŋ", "iao": "jau|", "ie": "je|", "in": "i|n", "ing": "i|ŋ",
    "iong": "jʊ|ŋ", "iou": "jou|", "o": "wo|", "ong": "ʊ|ŋ", "ou": "ou|", "u": "u|", "ua": "wa|", "uai": "wai|",
    "uan": "wa|n", "uang": "wa|ŋ", "uei": "wei|", "uen": "wə|n", "ueng": "wə|ŋ", "uo": "wo|", "ü": "y|", "üe": "ɥe|",
    "üan": "ɥɛ|n", "ün": "y|n",
}  # fmt: skip
SHORTENED = {"iu": "iou", "ui": "uei", "un": "uen"}
WITHOUT_INITIAL = {"yi": "i", "yin": "in", "ying": "ing", "wu": "u", "yu": "ü", "yue": "üe", "yuan": "üan", "yun": "ün"}
BUZZED = {"zh", "ch", "sh", "r", "z", "c", "s"}


def phonemes(pinyin: str) -> str:
    """Phonemes of one syllable written with tone marks, the tone behind its vowel: "xiǎng" -> "ɕja↓ŋ".

    Raises KeyError for interjections that are no ordinary syllable ("hm", "ng", "ê").
    """
    plain, tone = "", ""
    for c in unicodedata.normalize("NFD", pinyin.lower()):
        if c in TONES:
            tone = TONES[c]
        else:
            plain += c
    plain = unicodedata.normalize("NFC", plain)
    if plain == "er":
        return f"ɚ{tone}"
    if plain == "o":
        return f"ɔ{tone}"
    initial, final = divided(plain)
    if initial in BUZZED and final == "i":
        return f"{INITIALS[initial]}ɨ{tone}"
    return (INITIALS[initial] if initial else "") + FINALS[final].replace("|", tone)


def divided(plain: str) -> tuple[str, str]:
    """Initial ("" if there is none) and full final of a syllable without its tone: "jiu" -> ("j", "iou")."""
    if plain in WITHOUT_INITIAL:
        return "", WITHOUT_INITIAL[plain]
    if plain[0] in "yw":
        final = ("i" if plain[0] == "y" else "u") + plain[1:]
        return "", SHORTENED.get(final, final)
    initial = next((i for i in INITIALS if plain.startswith(i)), "")
    final = plain.removeprefix(initial)
    if initial in {"j", "q", "x"} and final.startswith("u"):
        final = "ü" + final[1:]
    return initial, SHORTENED.get(final, final) if initial else final
