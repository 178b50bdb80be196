"""What a separator leaves where nobody sings stays in the song."""

import numpy as np
from test_song import BASIC, Echo
from tiny_conversion import sung

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.conversion.residue import PresenceMeter
from svc.conversion.song import convert_song
from svc.separation.basic import Basic

RATE = 22_050


def db(value: float) -> float:
    return 10.0 ** (value / 20.0)


def noise(seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))
    return (samples * db(level_db)).astype(np.float32)


def gains(parts: list[tuple[float, float, float]], block: int = 7001) -> np.ndarray:
    """Gain every 100 ms of (seconds, level of the vocals, level of the accompaniment), given in odd blocks."""
    vocals = np.concatenate([noise(s, v) for s, v, _ in parts], axis=1)
    rest = np.concatenate([noise(s, a, 1) for s, _, a in parts], axis=1)
    meter = PresenceMeter(RATE)
    for start in range(0, vocals.shape[1], block):
        meter.add(vocals[:, start : start + block], rest[:, start : start + block])
    return meter.presence().gains


def test_residue_under_instruments_is_left_and_its_surroundings_are_kept() -> None:
    found = gains([(3.0, -20, -20), (4.0, -55, -20), (3.0, -20, -20)])
    assert len(found) == 100 and (found[:35] == 1).all() and (found[65:] == 1).all() and (found[36:64] == 0).all()


def test_quiet_singing_over_a_quiet_guitar_is_sung() -> None:
    assert (gains([(3.0, -12, -12), (6.0, -42, -45)]) == 1).all()
    # 15 dB below the loud lines is a quiet line, however loud the band is.
    assert (gains([(3.0, -12, -12), (6.0, -27, -6)]) == 1).all()


def test_nothing_at_all_and_less_than_a_step() -> None:
    meter = PresenceMeter(RATE)
    assert meter.presence().everywhere
    meter.add(np.zeros((1, 50), np.float32), np.zeros((1, 50), np.float32))
    assert meter.presence().everywhere and len(meter.presence().at(0, 50)) == 50


def test_gain_has_no_steps() -> None:
    meter = PresenceMeter(RATE)
    meter.add(noise(2.0, -20), noise(2.0, -20))
    meter.add(noise(3.0, -70), noise(3.0, -20))
    presence = meter.presence()
    curve = np.concatenate([presence.at(a, a + 5000) for a in range(0, 5 * RATE, 5000)])
    assert curve[0] == 1 and curve[4 * RATE] == 0 and np.abs(np.diff(curve)).max() < 1.1 / presence.step


def test_the_song_keeps_it_and_nothing_is_lost(tmp_path, monkeypatch) -> None:
    """A separator that hands a hundredth of the band to the vocals: it is heard once, in the accompaniment."""
    voice = np.concatenate([sung(2.0, rate=RATE), np.zeros(3 * RATE, np.float32)])
    band = noise(5.0, -20)
    leaked = (voice + 0.01 * band).astype(np.float32)

    def separate(self, source, write, progress=None):
        write(leaked, (0.99 * band).astype(np.float32))

    monkeypatch.setattr(Basic, "separate_stream", separate)
    write_audio(tmp_path / "in.wav", Audio((voice + band).astype(np.float32), RATE), "float")
    late = slice(3 * RATE, None)
    for leave, level in ((True, 1.0), (False, 0.99)):
        options = BASIC.model_copy(update={"leave_residue": leave})
        convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(RATE, gain=0.0), options)
        out = read_audio(tmp_path / "out.wav").samples
        np.testing.assert_allclose(out[:, late], level * band[:, late], atol=1e-5)
        np.testing.assert_allclose(out[:, :RATE], 0.99 * band[:, :RATE], atol=1e-5)
