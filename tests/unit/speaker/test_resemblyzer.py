import numpy as np
import pytest

from svc.errors import AudioError
from svc.speaker.encoder import SpeakerEncoder
from svc.speaker.resemblyzer import BATCH, PARTIAL_STEP, Resemblyzer, partial_starts

RATE = 16_000


@pytest.fixture(scope="module")
def encoder() -> Resemblyzer:
    return Resemblyzer()


def vowel(seconds: float, f0: float, formants: tuple[float, ...], rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    tone = np.zeros_like(t)
    for k in range(1, int(7000 / f0)):
        gain = sum(1 / (1 + ((k * f0 - f) / 120) ** 2) for f in formants)
        tone += gain * np.sin(2 * np.pi * k * f0 * t)
    return (0.1 * tone).astype(np.float32)


def test_unit_vector(encoder: Resemblyzer) -> None:
    assert isinstance(encoder, SpeakerEncoder)
    vector = encoder.embed(vowel(3, 200, (700, 1200, 2600)), RATE)
    assert vector.shape == (encoder.dim,) == (256,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert (vector >= 0).all()


def test_same_sound_at_another_rate_and_level_is_the_same_speaker(encoder: Resemblyzer) -> None:
    formants = (700, 1200, 2600)
    # Both are quieter than -30 dBFS, to which the encoder raises them.
    a = encoder.embed(vowel(3, 200, formants) * 1e-2, RATE)
    b = encoder.embed(vowel(3, 200, formants, 44_100) * 1e-3, 44_100)
    other = encoder.embed(vowel(3, 110, (300, 2200, 3200)) * 1e-2, RATE)
    assert a @ b > 0.98
    assert a @ other < 0.8


def test_partials_cover_the_recording_once() -> None:
    assert partial_starts(100) == [0]
    assert partial_starts(160 * 160) == [0]
    starts = partial_starts(20 * RATE)
    assert set(np.diff(starts)) == {PARTIAL_STEP}
    assert (20 * RATE - starts[-1] * 160) / (160 * 160) >= 0.75


def test_batches_do_not_show(encoder: Resemblyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = vowel(8, 150, (500, 1500, 2500)) * np.linspace(0.1, 1, 8 * RATE, dtype=np.float32)
    assert len(partial_starts(len(samples))) < BATCH
    once = encoder.embed(samples, RATE)
    monkeypatch.setattr("svc.speaker.resemblyzer.BATCH", 3)
    np.testing.assert_allclose(encoder.embed(samples, RATE), once, atol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (1, 100), (800,)], ids=["empty", "stereo", "silent"])
def test_nothing_to_hear_is_refused(encoder: Resemblyzer, shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError):
        encoder.embed(np.zeros(shape, np.float32), RATE)


def test_real_singers_are_told_apart(encoder: Resemblyzer, shared) -> None:
    import soundfile

    def clip(actor: str, suffix: str, line: str) -> np.ndarray:
        name = f"03-02-01-01-{line}-01-{actor}.{suffix}"
        samples, rate = soundfile.read(shared / "audio/singing/ravdess" / f"Actor_{actor}" / name, dtype="float32")
        return encoder.embed(samples if samples.ndim == 1 else samples.mean(axis=1), rate)

    man, man_again, woman = clip("01", "ogg", "01"), clip("01", "ogg", "02"), clip("02", "flac", "01")
    assert man @ man_again > 0.8
    assert man @ man_again > man @ woman + 0.1
