import hashlib
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.audio.signal import Audio
from svc.errors import AudioError, MissingExtraError, WeightError
from svc.separation.choosing import choose
from svc.separation.demucs import Demucs
from svc.separation.demucs_weights import find_bag, read_model


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("demucs", "demucs.htdemucs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"svc-toolkit\[separation\]"):
        Demucs(folder=tmp_path)


demucs = pytest.importorskip("demucs", reason="pip install 'svc-toolkit[separation]'", exc_type=ImportError)

SOURCES = ["drums", "vocals"]
SETTINGS = {
    "HTDemucs": {"channels": 8, "nfft": 1024, "depth": 4, "t_layers": 1, "t_heads": 2, "segment": 1},
    "HDemucs": {"channels": 4, "nfft": 1024, "depth": 4, "segment": 1},
    "Demucs": {"channels": 4, "depth": 3, "lstm_layers": 0, "segment": 1},
}


def save_tiny(folder: Path, kind: str, signature: str, seed: int = 0, **changes: object) -> torch.nn.Module:
    """A small random model in demucs' file format, its hash in its name."""
    import importlib

    model_class = getattr(importlib.import_module(f"demucs.{kind.lower()}"), kind)
    torch.manual_seed(seed)
    settings = {**SETTINGS[kind], "sources": SOURCES}
    model = model_class(**settings).eval()
    package = {"klass": model_class, "args": (), "kwargs": settings, "state": model.state_dict(), "training_args": {}}
    save_package(folder, signature, {**package, **changes})
    return model


def save_package(folder: Path, signature: str, package: object) -> Path:
    path = folder / f"{signature}.th"
    torch.save(package, path)
    return path.rename(folder / f"{signature}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.th")


def song(length: int) -> Audio:
    return Audio(np.random.default_rng(length).uniform(-0.4, 0.5, (2, length)).astype(np.float32), 44_100)


def reference(model: torch.nn.Module, mix: np.ndarray) -> np.ndarray:
    """What demucs' own functions give: (sources, 2, N)."""
    from demucs.apply import apply_model

    wave = torch.from_numpy(mix)
    mono = wave.mean(0)
    normal = (wave - mono.mean()) / (mono.std() + 1e-8)
    with torch.no_grad():
        out = apply_model(model, normal[None], shifts=0, overlap=0.25)[0]
    return (out * (mono.std() + 1e-8) + mono.mean()).numpy()


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("length", [10_000, 44_100, 80_001])
def test_segments_equal_demucs_own(tmp_path: Path, kind: str, length: int) -> None:
    model = save_tiny(tmp_path, kind, "aaaa")
    audio = song(length)
    expected = reference(model, audio.samples)
    sources = Demucs(folder=tmp_path).separate_sources(audio)
    for name, wanted in zip(SOURCES, expected):
        np.testing.assert_allclose(sources[name].samples, wanted, atol=5e-5 * np.abs(expected).max())


def test_a_bag_weighs_its_models(tmp_path: Path) -> None:
    from demucs.apply import BagOfModels

    models = [save_tiny(tmp_path, "HDemucs", name, seed) for seed, name in enumerate(("aaaa", "bbbb"))]
    (tmp_path / "both.yaml").write_text("models: ['aaaa', 'bbbb']\nweights: [[1., 3.], [1., 1.]]\nsegment: 0.5\n")
    audio = song(50_000)
    expected = reference(BagOfModels(models, [[1.0, 3.0], [1.0, 1.0]], 0.5), audio.samples)
    separator = Demucs(folder=tmp_path)
    assert separator.model == "both"
    vocals = separator.separate(audio).vocals.samples
    np.testing.assert_allclose(vocals, expected[1], atol=5e-5 * np.abs(expected).max())


def test_a_model_without_weight_for_vocals_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("aaaa", "bbbb")):
        save_tiny(tmp_path, "Demucs", name, seed)
    (tmp_path / "both.yaml").write_text("models: ['aaaa', 'bbbb']\nweights: [[1., 0.], [0., 1.]]\n")
    separator = Demucs(folder=tmp_path)
    audio = song(20_000)
    expected = separator.separate_sources(audio)["vocals"].samples

    def fail(mix: torch.Tensor) -> torch.Tensor:
        raise AssertionError("ran")

    monkeypatch.setattr(separator._models[0], "forward", fail)
    np.testing.assert_allclose(separator.separate(audio).vocals.samples, expected, atol=1e-6)


def test_sources_want_the_models_own_form(tmp_path: Path) -> None:
    save_tiny(tmp_path, "Demucs", "aaaa")
    with pytest.raises(AudioError, match="stereo at 44100 Hz"):
        Demucs(folder=tmp_path).separate_sources(Audio(np.zeros((1, 10), np.float32), 44_100))


def test_missing_weights_say_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(
        WeightError, match=r"svc weights get htdemucs  or put 955717e8-8726e21a\.th .*refined"
    ) as caught:
        Demucs(folder=tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(WeightError, match=r"lacks f7e0c4bc.*svc weights get htdemucs-ft  or"):
        Demucs(model="htdemucs_ft", folder=tmp_path)
    with pytest.raises(WeightError, match="no demucs model 'htdemuks'"):
        Demucs(model="htdemuks", folder=tmp_path)
    with pytest.raises(WeightError, match="without a path"):
        find_bag("../htdemucs", tmp_path)


def test_pretrain_folder_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    save_tiny(tmp_path, "Demucs", "aaaa")
    assert Demucs().model == "aaaa"
    (tmp_path / "demucs").mkdir()
    save_tiny(tmp_path / "demucs", "Demucs", "bbbb")
    assert Demucs().model == "bbbb"
    save_tiny(tmp_path / "demucs", "Demucs", "cccc")
    with pytest.raises(WeightError, match=r"several demucs models \(bbbb, cccc\)"):
        Demucs()
    assert Demucs(model="cccc").model == "cccc"
    path = next((tmp_path / "demucs").glob("bbbb*"))
    assert Demucs(model=path).model == "bbbb"
    chosen = choose(model=str(path))
    assert (chosen.method, chosen.files) == ("demucs", (path,))
    path.unlink()
    assert choose("demucs").files == tuple((tmp_path / "demucs").glob("cccc*"))


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, (str(Path(os.environ["EVIL_TARGET"])),)


@pytest.mark.parametrize("form", ["zip", "plain pickle"])
def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    target = tmp_path / "ran"
    monkeypatch.setenv("EVIL_TARGET", str(target))
    package = {"klass": Evil(), "state": {}}
    if form == "zip":
        path = save_package(tmp_path, "aaaa", package)
    else:
        path = tmp_path / "aaaa.th"
        path.write_bytes(pickle.dumps(package))
    with pytest.raises(WeightError, match="can be read safely"):
        read_model(path)
    assert not target.exists()


def test_damaged_foreign_and_compressed_files_are_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "Demucs", "aaaa")
    (path,) = tmp_path.glob("*.th")
    path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    with pytest.raises(WeightError, match="is damaged"):
        read_model(path)
    with pytest.raises(WeightError, match="holds no demucs model"):
        read_model(save_package(tmp_path, "bbbb", {"klass": torch.Tensor, "state": {}}))
    with pytest.raises(WeightError, match="does not fit"):
        read_model(save_package(tmp_path, "cccc", [1, 2]))
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    save_tiny(quiet, "Demucs", "dddd", state={"__quantized": True})
    with pytest.raises(WeightError, match="compressed"):
        Demucs(folder=quiet)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "cut"])
def test_weights_that_do_not_fit_are_one_sentence(tmp_path: Path, fault: str) -> None:
    model = save_tiny(tmp_path, "Demucs", "aaaa")
    state = dict(model.state_dict())
    name = next(iter(state))
    if fault == "missing":
        del state[name]
    elif fault == "extra":
        state["surplus"] = torch.zeros(1)
    elif fault == "shape":
        state[name] = torch.zeros(2)
    save_tiny(tmp_path, "Demucs", "bbbb", state=state)
    (path,) = tmp_path.glob("bbbb*")
    if fault == "cut":
        short = tmp_path / "short.th"
        short.write_bytes(path.read_bytes()[:2000])
        path = short
    with pytest.raises(WeightError, match="can be read safely" if fault == "cut" else "does not fit") as caught:
        read_model(path)
    assert "\n" not in str(caught.value)
