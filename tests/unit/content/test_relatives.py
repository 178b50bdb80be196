"""WavLM, SpeechLM, the pruned and the discrete relatives of HuBERT: files that do not fit, and long recordings."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_files import FILES, WIDTH, small_encoder, small_file

from svc.content.hubert_encoder import HubertEncoder
from svc.content.hubert_files import read_hubert
from svc.content.relative_positions import ClippedDistances, GatedBuckets
from svc.content.windows import WINDOW, fading_windows, limited_windows
from svc.errors import CheckpointError, ConfigError, WeightError

NAMES = ["wavlm_base", "wavlm_large", "speechlm_base", "speechlm_large", "dphubert", "dpwavlm", "hubert_discrete"]
# Mean relative distance of frames to one pass, with random weights, in windows a fifth as long as the real ones.
# Over 60 s in real windows it is 0.016 to 0.040 for these, 0.054 and 0.140 for SpeechLM base and large.
SEAM_BOUNDS = {
    "hubert_soft": 0.1,
    "hubert_base": 0.1,
    "hubert_large": 0.1,
    "dphubert": 0.1,
    "wavlm_base": 0.1,
    "wavlm_large": 0.15,
    "dpwavlm": 0.1,
}
SHORT = (300, 100, 30)


@pytest.fixture
def pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    return tmp_path


def signal(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    loud = 0.1 + 0.1 * np.sin(2 * np.pi * 0.7 * t)
    return (loud * np.sin(2 * np.pi * 220 * t) + 0.05 * rng.standard_normal(len(t))).astype(np.float32)


def weights_in(whole: dict[str, Any]) -> dict[str, torch.Tensor]:
    return next(whole[key] for key in ("model", "state_dict", "hubert") if key in whole)


class Command:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_file_is_run_and_a_cut_one_is_refused(
    name: str, pretrain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, path = small_encoder(name, monkeypatch), small_file(name, pretrain)
    whole = torch.load(path, weights_only=True)
    marker = pretrain / "ran"
    torch.save(whole | {"cfg_of_a_stranger": Command(marker)}, path)
    with pytest.raises(CheckpointError, match=r"asks for \w+\.mkdir, which is refused"):
        kind()
    assert not marker.exists()
    data = path.read_bytes()
    for length in (10, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"is damaged, cut short"):
            kind()


@pytest.mark.parametrize("name", NAMES)
def test_missing_extra_and_misshapen_tensors_are_named(
    name: str, pretrain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, path = small_encoder(name, monkeypatch), small_file(name, pretrain)
    whole = torch.load(path, weights_only=True)
    state = weights_in(whole)
    norm = next(key for key in state if key.endswith(("layers.1.final_layer_norm.bias", "layers.1.norm2.bias")))
    own = r"layers\.1\.final_norm\.bias"
    kept = state.pop(norm)
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match=rf"{path.name.replace('+', '.')} lacks {own}"):
        kind()
    state[norm] = kept[:-1]
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match=rf"does not fit in {own} \(shape \({WIDTH - 1},\) instead of"):
        kind()
    state[norm] = kept
    state["encoder.layers.0.adapter.weight"] = torch.zeros(3)
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match=r"has .*adapter\.weight, which do not belong there"):
        kind()


def changed(name: str, change: str) -> dict[str, Any]:
    """A small file with one thing that does not fit."""
    whole = FILES.FILES[name][1](FILES.tiny(FILES.FILES[name][2]))
    state, table = weights_in(whole), "encoder.layers.0.self_attn.relative_attention_bias.weight"
    if change == "no distances":
        del state[table]
    elif change == "odd distances":
        state[table] = torch.zeros(6, 4)
    elif change == "heads":
        state[table] = torch.zeros(320, 5)
    elif change == "reach":
        whole["cfg"]["max_distance"] = 80
    elif change == "no gate":
        del state["encoder.layers.3.self_attn.grep_linear.weight"]
    elif change == "kept":
        whole["config"]["encoder_remaining_heads"][2] = [0, 0]
    elif change == "other norms":
        whole["cfg"]["model"]["text_transformer"]["encoder"]["normalize_before"] = True
    elif change == "scaled":
        whole["cfg"]["model"]["text_transformer"]["no_scale_embedding"] = False
    elif change == "short":
        state["unit_encoder.embed_positions.weight"] = torch.zeros(20, WIDTH)
    elif change == "no second stack":
        for key in [key for key in state if key.startswith("unit_encoder.layers")]:
            del state[key]
    elif change == "wide positions":
        state["unit_encoder.embed_positions.weight"] = torch.zeros(102, WIDTH + 1)
    return whole


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("wavlm_base", "no distances", r"layers\.0\.attention\.gate\.weight.* do not belong there"),
        ("wavlm_base", "odd distances", r"table of distances has shape \(6, 4\)"),
        ("wavlm_base", "heads", r"320 distances of 5 heads"),
        ("wavlm_base", "reach", r"up to 80 frames"),
        ("wavlm_base", "no gate", r"lacks layers\.3\.attention\.gate\.weight"),
        ("dpwavlm", "kept", r"list of remaining heads disagrees"),
        ("speechlm_base", "other norms", r"not known \(normalize_before True\)"),
        ("speechlm_base", "scaled", r"not known \(no_scale_embedding False\)"),
        ("speechlm_base", "short", r"20 positions"),
        ("speechlm_base", "no second stack", r"not known \(0 layers"),
        ("speechlm_large", "wide positions", r"shared\.positions\.weight \(shape \(102, 65\) instead of \(102, 64\)\)"),
    ],
)
def test_what_does_not_fit_is_said(
    name: str, change: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "odd.pt"
    torch.save(changed(name, change), path)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        small_encoder(name, monkeypatch)(path=path)
    assert "odd.pt" in str(caught.value)


def test_relatives_are_not_taken_for_one_another(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: read_hubert(small_file(name, pretrain / name)) for name in NAMES}
    for name in NAMES:
        kind = small_encoder(name, monkeypatch)
        assert issubclass(kind, HubertEncoder)
        for other, weights in files.items():
            if other == name:
                kind._require(weights)
            else:
                with pytest.raises(WeightError, match=rf"does not fit content encoder '{name}'"):
                    kind._require(weights)


def test_files_of_the_same_shape_are_told_apart_by_name(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, plus = small_encoder("wavlm_base", monkeypatch), small_encoder("wavlm_base_plus", monkeypatch)
    small_file("wavlm_base_plus", pretrain)
    assert plus.find_weights().name == "WavLM-Base+.pt"
    with pytest.raises(WeightError, match=r"needs the file WavLM-Base\.pt"):
        plain.find_weights()
    (pretrain / "WavLM-Base+.pt").rename(pretrain / "mine.pt")
    assert plain.find_weights().name == plus.find_weights().name == "mine.pt"
    small_file("wavlm_base", pretrain)
    assert plain.find_weights().name == "WavLM-Base.pt"
    assert plus.find_weights().name == "mine.pt"


def test_distances() -> None:
    buckets = GatedBuckets(320, 1, 800)
    distance = torch.tensor([-900, -800, -80, -79, -1, 0, 1, 79, 80, 799, 5000])
    # 80 single distances, then by logarithm up to class 159 at 800; later frames count from 160 on.
    wanted = [159, 159, 80, 79, 1, 0, 161, 239, 240, 319, 319]
    assert buckets._classes(distance).tolist() == wanted
    with torch.no_grad():
        buckets.table.weight[:, 0] = torch.arange(320.0)
        bias = buckets(3)[0]
    assert bias.tolist() == [[0, 161, 162], [1, 0, 161], [2, 1, 0]]
    assert ClippedDistances(4, 2)(4).tolist() == [[2, 1, 0, 0], [3, 2, 1, 0], [3, 3, 2, 1], [3, 3, 3, 2]]


def test_units_need_their_centres_and_their_layer(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, path = small_encoder("hubert_discrete", monkeypatch), small_file("hubert_discrete", pretrain)
    first = kind()
    assert kind.dim == first.dim == 100 and len(first.weights_sha256) == 64
    assert first.weights_sha256 == kind.weights_sha256
    centres = path.with_name("kmeans100-50f36a95.pt")
    for arguments in ({"layers": {6: 1.0}}, {"normalisation": "recording"}, {"stacked": True}):
        with pytest.raises(ConfigError, match="units of content encoder 'hubert_discrete'"):
            kind(**arguments)
    np.testing.assert_array_equal(kind({7: 2.0}).encode(signal(0.5)).values, first.encode(signal(0.5)).values)
    torch.save({"cluster_centers_": torch.zeros(7, WIDTH)}, pretrain / "elsewhere.pt")
    assert kind(centres=pretrain / "elsewhere.pt").dim == 7
    assert kind(centres=pretrain / "elsewhere.pt").weights_sha256 != first.weights_sha256
    centres.rename(pretrain / "kmeans_mine.pt")
    assert kind().centres_path.name == "kmeans_mine.pt"
    torch.save({"cluster_centers_": torch.zeros(7, WIDTH + 1)}, pretrain / "kmeans_mine.pt")
    with pytest.raises(CheckpointError, match=rf"have {WIDTH + 1} values, where {WIDTH} are wanted"):
        kind()
    (pretrain / "kmeans_mine.pt").unlink()
    with pytest.raises(WeightError, match=r"needs the k-means file kmeans100-50f36a95\.pt beside hubert-discrete"):
        kind()


def test_windows_of_a_short_table_of_positions() -> None:
    for frames in (1, 32, 33, 99, 1000):
        total, longest = np.zeros(frames), 0
        for start, weights in limited_windows(frames, 32):
            total[start : start + len(weights)] += weights
            longest = max(longest, len(weights))
        assert longest <= 32
        np.testing.assert_allclose(total, 1, atol=1e-6)
    assert [len(weights) for _, weights in limited_windows(WINDOW + 1, 3000)] == [WINDOW, WINDOW // 3 + 1]


def seam(name: str, pretrain: Path, monkeypatch: pytest.MonkeyPatch, positions: int = 0) -> tuple[float, float]:
    """Mean relative distance to one pass over 12 s, and the largest jump of it against the largest in one pass."""
    monkeypatch.setattr("svc.content.hubert_encoder.limited_windows", lambda frames, _: fading_windows(frames, *SHORT))
    kind, path = small_encoder(name, monkeypatch), small_file(name, pretrain)
    if positions:
        whole = torch.load(path, weights_only=True)
        shown = weights_in(whole)["unit_encoder.embed_positions.weight"]
        rows = torch.nn.functional.interpolate(shown.T[None], positions + 2, mode="linear")[0].T
        weights_in(whole)["unit_encoder.embed_positions.weight"] = rows.contiguous()
        torch.save(whole, path)
    encoder = kind()
    samples = signal(12.0)
    windowed = encoder.encode_original(samples).values
    padded = np.pad(encoder._level(samples), encoder.original_padding)
    with torch.inference_mode():
        outputs = encoder.network(torch.from_numpy(padded)[None], max(encoder.layers))
        whole_pass = encoder._chosen(outputs).numpy()
    distance = np.linalg.norm(windowed - whole_pass, axis=1) / np.linalg.norm(whole_pass, axis=1)
    jumps = np.abs(np.diff(windowed - whole_pass, axis=0)).max() / np.abs(np.diff(whole_pass, axis=0)).max()
    return float(distance.mean()), float(jumps)


@pytest.mark.parametrize("name", SEAM_BOUNDS)
def test_windows_stay_close_to_one_pass(name: str, pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, jump = seam(name, pretrain, monkeypatch)
    assert 0 < mean < SEAM_BOUNDS[name]
    assert jump < 0.4


@pytest.mark.parametrize("name", ["speechlm_base", "speechlm_large"])
def test_windows_of_absolute_positions(name: str, pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window begins its positions anew, which no single pass does: with smooth rows as trained ones are."""
    mean, jump = seam(name, pretrain, monkeypatch, positions=3000)
    assert 0 < mean < 0.25
    assert jump < 0.5


def test_wavlm_of_transformers_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the optional package transformers")
    for large in (False, True):
        config = transformers.WavLMConfig(
            hidden_size=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=24,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            feat_extract_norm="layer" if large else "group",
            do_stable_layer_norm=large,
            max_bucket_distance=400,
        )
        torch.manual_seed(0)
        model = transformers.WavLMModel(config).eval()
        folder = tmp_path / str(large)
        model.save_pretrained(folder)
        kind = small_encoder("wavlm_large" if large else "wavlm_base", monkeypatch)
        monkeypatch.setattr(kind, "layer_count", 4 if large else 3)
        encoder = kind({2: 1.0}, path=folder)
        samples = encoder._level(signal(1.5))
        with torch.inference_mode():
            wanted = model(torch.from_numpy(samples)[None], output_hidden_states=True)
            ours = encoder.network(torch.from_numpy(samples)[None])
        for layer in range(4):
            # Its last hidden state is behind the last norm, its list of hidden states is not.
            assert (ours[layer] - wanted.hidden_states[layer]).abs().max() <= 5e-5
        assert (ours[-1] - wanted.last_hidden_state).abs().max() <= 5e-5
        assert (encoder.level_floor is not None) == large
