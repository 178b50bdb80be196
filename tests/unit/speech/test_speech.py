"""Speech engines: what is missing is named with how to get it, text never becomes an option, engines speak."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from svc.errors import ConfigError
from svc.registry import SPEECH_ENGINES
from svc.speech import espeak, kokoro, kokoro_phonemes, speech
from svc.speech.speech import SpeechError, checked, create_engine, engines, sentences


def needs(name: str) -> None:
    if problem := SPEECH_ENGINES.load(name).lacking():
        pytest.skip(problem)


@pytest.fixture
def fake_espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called espeak-ng that notes its arguments and its input, and writes a short sound."""
    import soundfile

    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.linspace(-0.5, 0.5, 2205, dtype=np.float32), 22_050)
    script = tmp_path / "bin" / "espeak-ng"
    script.parent.mkdir()
    script.write_text(
        f"""#!/bin/sh
if [ "$1" = "--voices" ]; then
  echo "Pty Language       Age/Gender VoiceName          File          Other Languages"
  echo " 5  af              --/M      Afrikaans          gmw/af"
  echo " 2  en-us           --/M      English_(America)  gmw/en-US     (en 3)"
  exit 0
fi
printf '%s\\n' "$@" > {tmp_path}/arguments
cat > {tmp_path}/input
[ -e {tmp_path}/broken ] && {{ echo "no such thing" >&2; exit 1; }}
while [ $# -gt 1 ]; do [ "$1" = "-w" ] && cp {sound} "$2"; shift; done
exit 0
"""
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    espeak._voices.cache_clear()
    yield tmp_path
    espeak._voices.cache_clear()


def test_text_is_checked_in_one_sentence() -> None:
    assert checked("  Hello\tyou \r\n") == "Hello you"
    for bad in ("", "  \n", "...!", "a" * 20_001):
        with pytest.raises(SpeechError):
            checked(bad)
    for speed in (0.1, 3.0, float("nan")):
        with pytest.raises(SpeechError, match="speed"):
            checked("Hello", speed)


def test_sentences() -> None:
    assert sentences("One. Two!  Three?\nFour") == ["One.", "Two!", "Three?", "Four"]
    assert sentences("你好。再见！") == ["你好。", "再见！"]
    assert sentences("3.5 is a number. ... ") == ["3.5 is a number."]


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="espeak"):
        create_engine("espaek")


def test_what_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    for name, engine in engines().items():
        assert engine.lacking() and engine.voices() == (), name
        with pytest.raises(SpeechError, match=r"install|weights get"):
            create_engine(name)


def test_espeak_gets_the_text_on_its_input_and_never_as_an_argument(fake_espeak: Path) -> None:
    engine = create_engine("espeak")
    assert [voice.id for voice in engine.voices()] == ["en-us", "af"]
    text = "--version; $(touch hacked) `id`"
    audio = engine.speak(text, "af", 2.0)
    assert audio.sample_rate == 22_050 and audio.channels == 1 and audio.length == 2205
    assert (fake_espeak / "input").read_text() == text
    arguments = (fake_espeak / "arguments").read_text().splitlines()
    assert arguments[:4] == ["-v", "af", "-s", "330"] and "--version" not in arguments
    assert not Path("hacked").exists()


def test_a_failing_program_and_an_unknown_voice_are_sentences(fake_espeak: Path) -> None:
    engine = create_engine("espeak")
    with pytest.raises(SpeechError, match="has no voice"):
        engine.speak("Hello", "../af")
    (fake_espeak / "broken").touch()
    with pytest.raises(SpeechError, match=r"failed \(no such thing\)"):
        engine.speak("Hello")


def test_espeak_speaks() -> None:
    needs("espeak")
    slow, fast = (create_engine("espeak").speak("Good morning to all of you.", "en-us", s) for s in (0.7, 1.6))
    assert slow.seconds > 1.3 * fast.seconds > 0.5 and np.abs(fast.samples).max() > 0.05


def test_hibari_speaks_and_repeats_itself() -> None:
    needs("hibari")
    engine = create_engine("hibari")
    shares: list[float] = []
    first = engine.speak("Hello there. This is a test.", progress=shares.append)
    assert first.sample_rate == 24_000 and 1.0 < first.seconds < 6.0 and shares[-1] == 1.0
    assert np.array_equal(first.samples, engine.speak("Hello there. This is a test.").samples)
    with pytest.raises(SpeechError, match="English only"):
        engine.speak("你好")


def test_kokoros_letters_of_other_languages() -> None:
    joiner = kokoro_phonemes.JOINER
    assert kokoro_phonemes.from_ipa(f"t{joiner}ʃa{joiner}ɪg") == "ʧIɡ"
    assert {name[0] for name in kokoro.KOKORO_VOICES} == set(kokoro_phonemes.LANGUAGES)
    assert len(kokoro.KOKORO_VOICES) == 54


def test_kokoro_cuts_long_sentences_at_blanks() -> None:
    pieces = kokoro._pieces("abcd " * 200)
    assert max(map(len, pieces)) <= kokoro.MOST_PHONEMES and not [p for p in pieces if p.startswith(" ")]
    assert "".join(pieces).replace(" ", "") == "abcd" * 200


SENTENCES = {
    "a": "The weather is lovely today.",
    "b": "The weather is lovely today.",
    "z": "今天天气很好。",
    "j": "今日はとても天気がいいです。",
    "e": "Hoy hace muy buen tiempo.",
    "f": "Il fait très beau aujourd'hui.",
    "h": "आज मौसम बहुत अच्छा है।",
    "i": "Oggi fa molto bello.",
    "p": "Hoje o tempo está muito bom.",
}


@pytest.mark.parametrize("letter", SENTENCES)
def test_kokoro_reads_every_language(letter: str) -> None:
    """With its packages; the letters are those the model was taught, which no package is trusted to write."""
    needs("kokoro")
    if lacking := kokoro_phonemes.lacking_phonemes(letter):
        pytest.skip(f"reading {kokoro_phonemes.LANGUAGES[letter].name} needs: {lacking}")
    known = kokoro._letters()
    written = kokoro_phonemes.to_phonemes(SENTENCES[letter], letter, known)
    whole = kokoro_phonemes.to_phonemes(SENTENCES[letter], letter, dict.fromkeys(map(chr, range(32, 0x3100)), 0))
    assert len(written) >= 0.95 * len(whole) > 10
    voice = next(v.id for v in create_engine("kokoro").voices() if v.id[0] == letter)
    audio = create_engine("kokoro").speak(SENTENCES[letter], voice)
    assert 1.0 < audio.seconds < 6.0 and np.abs(audio.samples).max() > 0.05


def test_japanese_needs_all_of_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"misaki", "pyopenjtalk", "fugashi", "jaconv", "mojimoji", "unidic_lite"}
    monkeypatch.setattr(kokoro_phonemes, "has_module", lambda name: name in there)
    assert kokoro_phonemes.lacking_phonemes("j") == ""
    for name in sorted(there):
        there.discard(name)
        assert "speech-ja" in kokoro_phonemes.lacking_phonemes("j")
        there.add(name)


def test_kokoro_speaks() -> None:
    needs("kokoro")
    audio = create_engine("kokoro").speak("Hello there.", "af_heart")
    assert audio.sample_rate == 24_000 and 0.5 < audio.seconds < 4.0 and np.abs(audio.samples).max() > 0.05
