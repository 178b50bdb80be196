"""Made lines: texts, melodies, the loop that renders them, on an engine that only hums."""

import importlib.util
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
VOICES = ["af_one", "am_two", "jf_three", "zf_four"]


@pytest.fixture(scope="module")
def recipe():
    """The recipe as a module; scripts/ is on the path while these tests run."""
    sys.path.insert(0, str(SCRIPTS))
    spec = importlib.util.spec_from_file_location("made_singing", SCRIPTS / "recipes" / "made_singing.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_singing"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("made_singing")
    sys.path.remove(str(SCRIPTS))


@pytest.fixture
def texts(recipe, tmp_path):
    from made_lines.texts import Texts

    english = {w: f"{w[0]}ˈɑn" for w in ("kids", "are", "talking", "by", "the", "door", "sun", "moon")}
    said = {
        "你好": "nǐ hǎo",
        "音乐": "yīn yuè",
        "嗯啊": "ǹg a",
        "中国": "zhōng guó",
        "上山": "shàng shān",
        "下雨": "xià yǔ",
    }
    chinese = {word: [[pinyin] for pinyin in row.split()] for word, row in said.items()}
    for name, lexicon in (("english.json", english), ("chinese.json", chinese)):
        (tmp_path / name).write_text(json.dumps(lexicon), encoding="utf-8")
    return Texts(tmp_path / "english.json", tmp_path / "chinese.json")


class HummingEngine:
    """Three frames a phoneme, voiced but for the first; its audio is a sine on the F0 that it is asked for."""

    def __init__(self) -> None:
        self.decoded = 0

    def tokens(self, phones: str) -> np.ndarray:
        return np.zeros((1, len(phones) + 2), np.int64)

    def style(self, voice: str, phoneme_count: int, timbre_row: int = 60) -> np.ndarray:
        return np.full((1, 256), 0.1 + VOICES.index(voice), np.float32)

    def durations(self, tokens: np.ndarray, style: np.ndarray) -> np.ndarray:
        return np.full(tokens.shape[1], 3)

    def prosody(self, tokens: np.ndarray, style: np.ndarray, frames: np.ndarray):
        count = 2 * int(frames.sum())
        f0 = np.full(count, 120.0, np.float32)
        f0[:4] = 3.0
        return f0, np.ones(count, np.float32), np.zeros((1, 512, count // 2), np.float32)

    def decode(self, text: np.ndarray, f0_hz: np.ndarray, energy: np.ndarray, style: np.ndarray) -> np.ndarray:
        self.decoded += 1
        curve = np.repeat(f0_hz, 300)
        return np.sin(2 * np.pi * np.cumsum(curve) / 24_000) * np.float32(0.1) * (curve > 50)


@pytest.fixture
def studio(recipe, texts):
    return recipe.Studio(HummingEngine(), texts, VOICES)


def settings(recipe, languages=("en", "zh", "ja"), timbres=2, sung=1.0):
    return recipe.Settings(languages, timbres, sung, 0)


def test_mandarin_as_its_tables_say(recipe):
    from made_lines.mandarin import phonemes

    said = {
        "xiǎng": "ɕja↓ŋ",
        "zhú": "ꭧu↗",
        "jiù": "ʨjou↘",
        "nǚ": "ny↓",
        "yuán": "ɥɛ↗n",
        "shì": "ʂɨ↘",
        "er": "ɚ",
        "wèn": "wə↘n",
    }
    said |= {
        "lùn": "lwə↘n",
        "quán": "ʨʰɥɛ↗n",
        "yīng": "i→ŋ",
        "ér": "ɚ↗",
        "duì": "twei↘",
        "ān": "a→n",
        "qióng": "ʨʰjʊ↗ŋ",
    }
    assert {pinyin: phonemes(pinyin) for pinyin in said} == said
    with pytest.raises(KeyError):
        phonemes("hm")


def test_words_without_an_ordinary_reading_are_left_out(texts):
    assert [word for word, _ in texts.chinese] == ["你好", "音乐", "中国", "上山", "下雨"]


@pytest.mark.parametrize("language", ["en", "zh", "ja", "es", "fr", "it", "pt", "hi"])
def test_lines_use_the_engine_s_vocabulary_and_have_vowels(texts, language):
    from made_lines.texts import vowel_places

    vocabulary = set(
        " \u0303ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
    )
    rng = random.Random(1)
    for _ in range(40):
        line = texts.line(language, rng)
        assert set(line.phonemes) <= vocabulary
        assert len(vowel_places(line.phonemes)) >= 4
        assert bool(line.text) == (language in ("en", "zh"))


def test_evaluation_s_sentences_never_occur(texts):
    from made_lines.texts import is_forbidden

    assert is_forbidden("Kids are talking by moon")
    assert is_forbidden("sun sitting by the door")
    assert not is_forbidden("kids are talking the by door")
    rng = random.Random(0)
    assert not any(is_forbidden(texts.line("en", rng).text) for _ in range(2000))


def test_melody_stays_in_range_and_moves(recipe):
    from made_lines.melodies import CEILING_HZ, melody

    for seed in range(200):
        tune = melody(12, random.Random(seed))
        top = tune.root_hz * 2 ** (max(tune.notes) / 12)
        assert top <= CEILING_HZ * 1.0001
        assert min(tune.notes) >= -7
        assert len(set(tune.notes)) > 1


def test_sung_f0_is_the_notes_where_the_voice_is_voiced(recipe):
    from made_lines.melodies import Melody, sung_f0

    frames, spoken = np.array([4, 2, 10, 2, 10, 4]), np.full(64, 150.0)
    spoken[:8], spoken[56:] = 2.0, 2.0
    tune = Melody(200.0, [0, 12], 1, 5.0, 0.0, 0.0, 0.0)
    f0 = sung_f0(tune, frames, [1, 3], spoken)
    assert np.array_equal(f0[:8], spoken[:8])
    assert f0[20] == pytest.approx(200)
    assert f0[36] == pytest.approx(400)  # the consonant after the first vowel is sung on the second note
    assert f0[50] == pytest.approx(400)


def test_rows_fit_their_audio_and_the_reader_of_the_first_stock(recipe, studio, tmp_path):
    recipe.make(tmp_path, studio, settings(recipe), (1, 1, 1), 0.3)
    rows = [json.loads(row) for row in (tmp_path / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    assert " ".join(rows[0]) == ("id lang text phonemes durations prosody timbres mode root_hz notes f0 seconds files")
    for row in rows:
        import soundfile

        assert len(row["durations"]) == len(row["phonemes"]) + 2
        assert len(row["f0"]) == 2 * sum(row["durations"])
        assert row["seconds"] == pytest.approx(sum(row["durations"]) * 0.025)
        assert row["prosody"][0] in recipe.speakers(VOICES, row["lang"])[0]
        assert row["timbres"][0] == {row["prosody"]: 1.0}
        for timbre, name in zip(row["timbres"], row["files"], strict=True):
            assert sum(timbre.values()) == pytest.approx(1.0)
            assert soundfile.info(tmp_path / name).duration == pytest.approx(row["seconds"], abs=0.01)


def test_stopping_anywhere_changes_nothing(recipe, studio, tmp_path):
    for folder, stops in (("once", [0.25]), ("often", [0.1, 0.25])):
        (tmp_path / folder).mkdir()
        for minutes in stops:
            recipe.make(tmp_path / folder, studio, settings(recipe), (1, 1, 1), minutes)
            with open(tmp_path / folder / "index-1-of-1.jsonl", "a") as handle:
                handle.write('{"id": 99, "torn')
    once, often = ((tmp_path / f / "index.jsonl").read_text(encoding="utf-8") for f in ("once", "often"))
    assert once == often
    before = studio.engine.decoded
    recipe.make(tmp_path / "once", studio, settings(recipe), (1, 1, 1), 0.25)
    assert studio.engine.decoded == before


def test_parts_share_a_folder(recipe, studio, tmp_path):
    for place in (1, 2):
        recipe.make(tmp_path, studio, settings(recipe, timbres=1), (1, place, 2), 0.15)
    ids = [json.loads(row)["id"] for row in (tmp_path / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    assert ids == sorted(set(ids))
    assert {k % 2 for k in ids} == {0, 1}


def test_pitch_error_measures_cents(recipe):
    asked = np.full(80, 200.0)
    tone = np.sin(2 * np.pi * 200 * 2 ** (30 / 1200) * np.arange(24_000) / 24_000)
    harmonics = sum(
        np.sin(2 * np.pi * 200 * 2 ** (30 / 1200) * k * np.arange(24_000) / 24_000) / k for k in range(2, 8)
    )
    figures = recipe.pitch_error(tone + harmonics, 24_000, asked)
    assert figures.cents == pytest.approx(30, abs=3)
    assert figures.octave == 0


def test_held_out_voices_are_apart(recipe, tmp_path):
    from made_lines.parts import HELD_OUT, voice_names

    (tmp_path / "voices").mkdir()
    for name in (*HELD_OUT, "af_heart"):
        (tmp_path / "voices" / f"{name}.bin").touch()
    assert voice_names(tmp_path, held_out=False) == ["af_heart"]
    assert voice_names(tmp_path, held_out=True) == sorted(HELD_OUT)


def test_a_part_is_written_k_of_n(recipe):
    import argparse

    assert recipe.share_of("2/3") == (2, 3)
    for wrong in ("0/3", "4/3", "x", "1/"):
        with pytest.raises(argparse.ArgumentTypeError):
            recipe.share_of(wrong)
