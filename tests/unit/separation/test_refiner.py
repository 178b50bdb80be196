import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.errors import WeightError
from svc.paths import ASSETS
from svc.separation.refiner import (
    BINS,
    LEVELS,
    MOST_ADDED,
    RefinedSpleeter,
    VocalRefiner,
    correction,
    folded,
    hear,
    load_refiner,
    loudness_of,
)
from svc.separation.spleeter import HOP, N_FFT, Spleeter, load_networks
from svc.weights import SPLEETER

RATE = 44_100


def sound(samples: int, seed: int = 0) -> np.ndarray:
    """(2, samples): two tones and noise, different on both sides."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    tones = np.stack([np.sin(2 * np.pi * 220 * time), np.sin(2 * np.pi * 331 * time)])
    return np.float32(0.1 * tones + 0.03 * rng.standard_normal((2, samples)))


def spectrum(samples: np.ndarray) -> torch.Tensor:
    """(1, 2, 64, BINS) of a little more than a second."""
    whole = torch.stft(
        torch.from_numpy(samples), N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="constant", return_complex=True
    )
    known = whole[:, :BINS].transpose(1, 2)[None]
    return torch.nn.functional.pad(known, (0, 0, 0, 64 - known.shape[2]))


def trained(seed: int = 0) -> VocalRefiner:
    """A network whose correction and norms are not those of a new one."""
    torch.manual_seed(seed)
    refiner = VocalRefiner()
    torch.nn.init.normal_(refiner.head.weight, std=0.02)
    for module in refiner.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return refiner.eval().requires_grad_(False)


def save(refiner: VocalRefiner, path: Path) -> Path:
    state = {key: value for key, value in refiner.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_file({key: value.half() if value.ndim > 1 else value for key, value in state.items()}, path)
    return path


def mask(refiner: VocalRefiner, known: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return refiner(known, hear(*load_networks(SPLEETER.path(), "cpu"), known.abs()))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> RefinedSpleeter:
    return RefinedSpleeter(refiner=save(VocalRefiner(), tmp_path_factory.mktemp("refiner") / "new.safetensors"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> RefinedSpleeter:
    return RefinedSpleeter(refiner=save(trained(), tmp_path_factory.mktemp("refiner") / "other.safetensors"))


def heard_at_two_levels(samples: np.ndarray) -> list[np.ndarray]:
    """Spleeter's vocals of the song at both of LEVELS, brought back to the song's own."""
    gains = [level / loudness_of(iter([samples]), RATE) for level in LEVELS]
    return [Spleeter().separate(Audio(samples * np.float32(gain), RATE)).vocals.samples / gain for gain in gains]


def test_a_new_network_gives_the_mean_of_what_spleeter_hears_at_two_levels(new: RefinedSpleeter) -> None:
    line = read_audio(sorted((ASSETS / "base_lines" / "af_alloy62-af_sky38").glob("*.ogg"))[0])
    samples = np.repeat(line.resampled(RATE).samples[:1, : 2 * RATE], 2, axis=0) + 0.3 * sound(2 * RATE)
    quiet, loud = heard_at_two_levels(np.ascontiguousarray(samples))
    apart = np.abs(quiet - loud).max()
    assert apart > 1e-3
    found = new.separate(Audio(np.ascontiguousarray(samples), RATE)).vocals.samples
    assert np.abs(found - (quiet + loud) / 2).max() < 0.1 * apart


def test_where_nobody_is_heard_at_the_quieter_level_the_smaller_mask_counts(new: RefinedSpleeter) -> None:
    samples = sound(2 * RATE)
    samples[:, RATE // 2 :] += np.float32(chords(samples.shape[1])[:, RATE // 2 :])
    quiet, loud = (np.square(each, dtype=np.float64).sum() for each in heard_at_two_levels(samples))
    found = np.square(new.separate(Audio(samples, RATE)).vocals.samples, dtype=np.float64).sum()
    assert found < 0.65 * min(quiet, loud)  # their mean has 0.88


def test_a_songs_level_changes_nothing_but_the_level(other: RefinedSpleeter) -> None:
    samples = sound(RATE)
    loud, quiet = (other.separate(Audio(samples * np.float32(gain), RATE)).vocals.samples for gain in (1.0, 0.01))
    np.testing.assert_allclose(quiet / 0.01, loud, rtol=0, atol=1e-4)


@pytest.mark.parametrize("block", [1000, RATE, 5 * RATE])
def test_the_loudness_is_that_of_what_sounds(block: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((2, 3 * RATE)).astype(np.float32)

    def measured(whole: np.ndarray) -> float:
        return loudness_of((whole[:, s : s + block] for s in range(0, whole.shape[1], block)), RATE)

    assert measured(samples) == pytest.approx(0.1, rel=0.01)
    assert measured(np.pad(samples, ((0, 0), (2 * RATE, 3 * RATE)))) == pytest.approx(0.1, rel=0.01)
    assert measured(np.zeros((2, RATE), np.float32)) == measured(samples[:, :0]) == 1.0


@pytest.mark.parametrize("samples", [1, 1023, 44_101])
def test_length_is_kept_and_the_parts_sum_to_the_song(other: RefinedSpleeter, samples: int) -> None:
    audio = Audio(sound(samples), RATE)
    stems = other.separate(audio)
    assert stems.vocals.samples.shape == (2, samples)
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, audio.samples, atol=1e-6)


def test_silence_stays_silent(other: RefinedSpleeter) -> None:
    assert not other.separate(Audio(np.zeros((2, RATE), np.float32), RATE)).vocals.samples.any()


def test_mono_keeps_one_channel_and_equals_the_same_on_both_sides(other: RefinedSpleeter) -> None:
    mono = sound(RATE)[:1]
    vocals = other.separate(Audio(mono, RATE)).vocals.samples
    both = other.separate(Audio(np.repeat(mono, 2, axis=0), RATE)).vocals.samples
    assert vocals.shape == mono.shape
    np.testing.assert_allclose(both.mean(axis=0), vocals[0], atol=1e-6)


def test_both_sides_of_a_mono_mixture_get_the_same_correction() -> None:
    known = spectrum(np.repeat(sound(RATE)[:1], 2, axis=0))
    networks = load_networks(SPLEETER.path(), "cpu")
    added = mask(trained(), known) - hear(*networks, known.abs()).share
    both = added.mean(dim=1, keepdim=True)
    apart = (added - both).abs().mean()
    assert added.abs().mean() > 0.01
    assert apart < 0.1 * added.abs().mean()  # Spleeter's own sides differ a little


def test_sides_exchanged_exchange_the_correction() -> None:
    known = spectrum(sound(RATE))
    found, share = torch.randn(1, 3, 64, BINS), torch.rand(1, 2, 64, BINS)
    swapped = correction(found, known.flip(1), share.flip(1)).flip(1)
    torch.testing.assert_close(swapped, correction(found, known, share))


def test_a_correction_is_bounded_and_leaves_what_spleeter_is_sure_of() -> None:
    known, share = spectrum(sound(RATE)), torch.rand(1, 2, 64, BINS)
    share[:, :, 0] = 1.0
    found = torch.zeros(1, 3, 64, BINS)
    found[:, 0] = 1e3
    assert correction(found, known, share).max() <= MOST_ADDED * 1.0001
    taken = correction(-found, known, share)
    assert (share + taken).min() > -1e-5
    assert taken.min() < -0.2 and taken[:, :, 0].abs().max() < 1e-5


def test_a_stream_in_small_pieces_equals_the_song_at_once(other: RefinedSpleeter) -> None:
    from svc.separation.masking import MaskStream

    samples = np.tile(sound(HOP * 32), 5)
    mask = partial(other.mask, loudness=0.1)

    def run(block: int, step: int, feed: int) -> np.ndarray:
        stream = MaskStream(mask, N_FFT, HOP, block, step)
        starts = range(0, samples.shape[1], feed)
        parts = [stream.process(samples[:, s : s + feed], s + feed >= samples.shape[1]) for s in starts]
        return np.concatenate(parts, axis=1)

    np.testing.assert_allclose(run(64, 48, 10_000), run(64, 48, samples.shape[1]), atol=1e-4)


def test_folded_norms_change_nothing() -> None:
    known = spectrum(sound(RATE))
    before = mask(trained(), known)
    torch.testing.assert_close(mask(folded(trained()), known), before, atol=1e-4, rtol=1e-4)


def test_correction_does_not_depend_on_level_or_phase_of_what_spleeter_hears() -> None:
    known = spectrum(sound(RATE))
    heard = hear(*load_networks(SPLEETER.path(), "cpu"), known.abs())
    louder = heard._replace(voice=heard.voice * 3, rest=heard.rest * 3)
    with torch.inference_mode():
        first = trained()(known, heard)
        second = trained()(known * torch.polar(torch.tensor(3.0), torch.tensor(1.0)), louder)
    torch.testing.assert_close(first, second, atol=2e-3, rtol=0)


def test_another_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightError, match="refiner"):
        load_refiner(tmp_path / "a.safetensors")


def test_recipe_mixes_and_judges_silence_without_nan() -> None:
    """In a process of its own: the folders of the scripts are not packages of the toolkit."""
    code = """
import sys; sys.path.insert(0, "scripts")
import numpy as np, torch
from made_mixtures.mixing import Mixture, Pool, mixtures
from recipes.vocal_refiner import BINS, judged, transform
rng = np.random.default_rng(1)
voice = [(rng.integers(-9000, 9000, (1, 40_000), dtype=np.int16), 0, 7600.0) for _ in range(3)]
band = [(rng.integers(-9000, 9000, (2, 50_000), dtype=np.int16), 0, 22050.0) for _ in range(2)]
made = mixtures(Pool.of(voice, {0: 1.0}), Pool.of(band, {0: 1.0}), 6, 15 * 1024, [1, 2])
assert all(each.isfinite().all() for each in made) and made.voice.abs().max() > 0.01
silent = Mixture(made.voice * 0, made.rest, made.bandwidth_hz)
for mixture in (made, silent, Mixture(silent.voice, made.rest * 0, made.bandwidth_hz)):
    spectrum = transform(mixture.voice + mixture.rest)[..., :BINS]
    mask = torch.zeros(spectrum.shape).requires_grad_()
    loss = judged(mask, spectrum, mixture).loss
    loss.backward()
    assert loss.isfinite() and mask.grad.isfinite().all()
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_ships_is_nearer_to_the_voice_than_spleeter_alone() -> None:
    """Made lines over plucked chords, 0 dB."""
    gains = []
    for name in ("af_alloy62-af_sky38", "im_nicola"):
        voice = read_audio(sorted((ASSETS / "base_lines" / name).glob("*.ogg"))[0]).resampled(RATE).samples[:1]
        voice = np.repeat(voice, 2, axis=0)
        backing = chords(voice.shape[1])
        backing *= np.sqrt((voice**2).sum() / (backing**2).sum())
        mix = Audio((voice + backing).astype(np.float32), RATE)
        wrong = [separator.separate(mix).vocals.samples - voice for separator in (Spleeter(), RefinedSpleeter())]
        gains.append(10 * np.log10((wrong[0] ** 2).sum() / (wrong[1] ** 2).sum()))
    assert min(gains) > 0.02 and np.mean(gains) > 0.08


def chords(samples: int) -> np.ndarray:
    """(2, samples): three plucked notes every half second, each somewhere between the sides."""
    rng = np.random.default_rng(0)
    out = np.zeros((2, samples))
    for start in range(0, samples, RATE // 2):
        time = np.arange(len(out[0, start : start + RATE // 2])) / RATE
        for note in rng.choice([0, 3, 5, 7, 10, 12], 3):
            hz, pan = 110 * 2 ** (note / 12), rng.uniform(0.3, 0.7)
            tone = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 8)) * np.exp(-3 * time)
            out[:, start : start + RATE // 2] += np.stack([tone * pan, tone * (1 - pan)])
    return out


def test_nothing_is_added_where_spleeter_hears_no_voice() -> None:
    known = spectrum(sound(RATE))
    found = torch.full((1, 3, 64, BINS), 1e3)
    silent = correction(found, known, torch.full((1, 2, 64, BINS), 1e-3))
    heard = correction(found, known, torch.full((1, 2, 64, BINS), 0.3))
    assert silent.max() < 1e-3 * MOST_ADDED
    assert heard.max() > 0.99 * MOST_ADDED
