from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from svc.audio.signal import Audio
from svc.errors import WeightError
from svc.separation.spleeter import BINS, TOP_BINS, WEIGHTS, Spleeter, load_networks, padded_frames
from svc.separation.unet import SpleeterUNet


@pytest.fixture(scope="module")
def spleeter() -> Spleeter:
    return Spleeter()


def spectrum(frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2049, frames, dtype=torch.complex64, generator=generator)


def test_embedded_file_is_the_declared_one() -> None:
    path = WEIGHTS.path()
    assert path.stat().st_size == WEIGHTS.bytes < 22_000_000


def test_each_network_has_the_published_size() -> None:
    assert sum(p.numel() for p in SpleeterUNet().parameters()) == pytest.approx(9.82e6, rel=1e-3)


def test_eight_bit_weights_are_numbers_times_their_scale() -> None:
    stored = load_file(WEIGHTS.path())
    assert {k for k, v in stored.items() if v.dtype == torch.int8} == {
        f"{stem}.{name}.weight" for stem in ("vocals", "accompaniment") for name in ("down.4", "down.5", "up.0", "up.1")
    }
    vocals, _ = load_networks(WEIGHTS.path(), "cpu")
    key = "vocals.up.0.weight"
    expected = stored[key][3, 5].float() * stored[f"{key}.scale"][0, 5]
    torch.testing.assert_close(vocals.up[0].weight[3, 5], expected)


def test_mask_is_a_share_and_continues_above_the_known_band(spleeter: Spleeter) -> None:
    with torch.inference_mode():
        mask = spleeter.mask(spectrum(64))
    assert mask.shape == (2, 2049, 64)
    assert float(mask.min()) >= 0
    assert float(mask.max()) <= 1
    top = mask[:, BINS - TOP_BINS : BINS].mean(dim=1)
    torch.testing.assert_close(mask[:, 1500], top)
    assert float(top.std()) > 0.001


def test_plain_leaves_the_top_band_to_the_accompaniment(spleeter: Spleeter) -> None:
    plain = Spleeter(plain=True)
    with torch.inference_mode():
        mask, ours = plain.mask(spectrum(64)), spleeter.mask(spectrum(64))
    assert not mask[:, BINS:].any()
    torch.testing.assert_close(mask[:, :BINS], ours[:, :BINS])


def test_short_blocks_get_silence_in_whole_multiples() -> None:
    assert [padded_frames(frames) for frames in (1, 64, 65, 400, 460, 512)] == [128, 128, 192, 512, 512, 512]


@pytest.mark.long
def test_block_edges_do_not_matter_much(spleeter: Spleeter) -> None:
    """The same sound separated from two different starts: overlapping blocks agree better than plain ones."""
    generator = np.random.default_rng(3)
    shift = 200 * 1024
    time = np.arange(44_100 * 22) / 44_100
    voice = 0.3 * np.sin(2 * np.pi * 220 * time + 3 * np.sin(2 * np.pi * 5.5 * time)) * (np.sin(time * 3) > 0)
    samples = (np.stack([voice, voice]) + 0.02 * generator.standard_normal((2, len(time)))).astype(np.float32)

    def difference(separator: Spleeter) -> float:
        whole = separator.separate(Audio(samples, 44_100)).vocals.samples[:, shift:]
        late = separator.separate(Audio(samples[:, shift:].copy(), 44_100)).vocals.samples
        edge = slice(200 * 1024, 500 * 1024)  # away from the late start, around the edges of the whole
        return float(np.sqrt(((whole - late)[:, edge] ** 2).mean()))

    assert difference(spleeter) < difference(Spleeter(plain=True))


@pytest.mark.parametrize("damage", ["truncated", "key missing", "other shape", "no file"])
def test_other_files_are_refused_with_a_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.safetensors"
    stored = load_file(WEIGHTS.path())
    if damage == "truncated":
        path.write_bytes(WEIGHTS.path().read_bytes()[:100_000])
    elif damage == "key missing":
        del stored["vocals.up.0.weight.scale"]
        save_file(stored, path)
    elif damage == "other shape":
        stored["vocals.out.weight"] = torch.zeros(3, 1, 4, 4)
        save_file(stored, path)
    with pytest.raises(WeightError, match="not a Spleeter weight file"):
        Spleeter(weights=path)
