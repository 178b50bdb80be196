"""Our layers against the numbers that so-vits-svc 4.x and RVC computed from the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.checkpoint.importers.keys import discriminator_state
from svc.checkpoint.importers.opening import import_voice
from svc.models.discriminators.mpd_msd import MpdMsd
from svc.models.vits import losses
from svc.models.vits.f0_predictor import f0_from_log, log_f0, normalise_log_f0
from svc.models.vits.pitch_embedding import coarse_f0
from svc.models.vits.voice_model import ModelInput, VoiceModel

# The reference folder's suggested limits, where another phase algorithm than the recorded one is used.
LATENT, SOURCE, AUDIO, AUTO_F0_AUDIO, F0_HZ = 3e-5, 2e-4, 5e-4, 1e-2, 2e-3
RVC_AUDIO = 2e-4

SOVITS = {
    "sv41_vec768_vol": "G_2400.pth",
    "sv41_vec768_novol": "G_*.pth",
    "sv41_noautof0": "G_*.pth",
    "sv40_vec256": "G_1600.pth",
    "sv41_tiny": "G_4000.pth",
    "svfork_40v1_vec768": "G_120.pth",
    "sv41_snake": "G_3200.pth",
    "sv41_trflow": "G_5600.pth",
    "sv41_trflow_unshared": "G_800.pth",
}
RVC = ("rvc_v1_40k", "rvc_v2_40k", "rvc_v2_32k", "rvc_v2_48k", "rvc_v2_40k_nono", "applio_v2_40k", "ddpn_v2_40k")


class Case:
    """Arrays of a golden file with a batch dimension, and comparisons against them."""

    def __init__(self, folder: Path, name: str = "golden.npz") -> None:
        with np.load(folder / name) as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def __getitem__(self, key: str) -> torch.Tensor:
        value = self.arrays[key]
        return torch.from_numpy(value.astype(np.float32) if value.dtype == np.float16 else value)[None]

    def check(self, key: str, value: torch.Tensor, limit: float) -> None:
        expected = self.arrays[key]
        actual = value.detach()[0].squeeze().numpy()
        assert actual.shape == expected.shape, key
        assert expected.std() > 0 or limit == 0, key
        worst = np.abs(actual.astype(np.float64) - expected).max()
        assert worst <= limit, f"{key} is off by {worst:.2e}"


def folder_of(shared: Path, name: str) -> Path:
    folder = shared / "golden" / "voices" / name
    if not folder.is_dir():
        pytest.skip(f"reference folder {folder} is not here")
    return folder


def load(folder: Path, pattern: str) -> dict:
    (path,) = (p for p in folder.glob(pattern) if "release" not in p.name)
    return torch.load(path, weights_only=True, map_location="cpu")


def sovits_model(folder: Path, pattern: str) -> tuple[VoiceModel, Case]:
    (path,) = (p for p in folder.glob(pattern) if "release" not in p.name)
    return import_voice(path).build(inference=False), Case(folder)


def model_input(case: Case, f0: str = "in_f0") -> ModelInput:
    content = case["in_c"]
    frames = content.shape[2]
    volume = case["in_vol"] if "in_vol" in case.arrays else torch.ones(1, frames)
    return ModelInput(
        content, case[f0], case["in_uv"], 20 * torch.log10(volume), torch.tensor([frames]), case["in_sid"]
    )


@pytest.mark.parametrize("name", SOVITS)
@torch.no_grad()
def test_sovits_latents(shared: Path, name: str) -> None:
    model, case = sovits_model(folder_of(shared, name), SOVITS[name])
    batch = model_input(case)
    mask = batch.mask()
    speaker = model.speaker(batch.speaker_id).unsqueeze(-1)
    case.check("out_g", speaker, 0)
    x = model.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
    case.check("out_enc_p_in", x, LATENT)
    case.check("out_f0_coarse", coarse_f0(batch.f0_hz, model.prior.pitch.overflow), 0)
    case.check("out_enc_p_x", model.prior.encode(x, batch.f0_hz, mask), LATENT)
    mean, log_std = model.prior(x, batch.f0_hz, mask)
    case.check("out_enc_p_m", mean, LATENT)
    case.check("out_enc_p_logs", log_std, LATENT)
    mean, log_std = model.posterior(case["in_spec"], mask, speaker)
    case.check("out_enc_q_m", mean, LATENT)
    case.check("out_enc_q_logs", log_std, LATENT)
    case.check("out_flow_rev_out", model.flow(case["in_z_p_in"], mask, speaker, reverse=True), LATENT)
    case.check("out_flow_fwd_out", model.flow(case["in_z_in"], mask, speaker), LATENT)
    case.check("out_infer_z", model.infer_latent(batch)[0], LATENT)


@pytest.mark.parametrize("name", [name for name in SOVITS if name != "sv41_noautof0"])
@torch.no_grad()
def test_sovits_f0_prediction(shared: Path, name: str) -> None:
    model, case = sovits_model(folder_of(shared, name), SOVITS[name])
    batch = model_input(case)
    mask = batch.mask()
    lf0 = log_f0(batch.f0_hz)
    case.check("out_lf0", lf0, LATENT)
    normal = normalise_log_f0(lf0, batch.voiced, mask)
    case.check("out_norm_lf0", normal, LATENT)
    x = model.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
    predicted = model.f0_predictor(x, normal, mask, model.speaker(batch.speaker_id).unsqueeze(-1))
    case.check("out_pred_lf0", predicted, LATENT)
    case.check("out_pred_f0_hz", f0_from_log(predicted), F0_HZ)


@pytest.mark.parametrize("fused", [False, True], ids=["weight_norm", "fused"])
@pytest.mark.parametrize("name", SOVITS)
@torch.no_grad()
def test_sovits_audio(shared: Path, name: str, fused: bool) -> None:
    model, case = sovits_model(folder_of(shared, name), SOVITS[name])
    if fused:
        model.fuse()
        assert not any("parametrizations" in key for key in model.state_dict())
    batch = model_input(case)
    start = torch.zeros(1)
    speaker = model.speaker(batch.speaker_id).unsqueeze(-1)
    case.check("out_src_har", model.decoder.source(batch.f0_hz, start)[0], SOURCE)
    case.check("out_dec_wav", model.decoder(case["in_z_in"], batch.f0_hz, batch.voiced, speaker, start), AUDIO)
    case.check("out_infer_wav", model.infer(batch, None, start), AUDIO)
    if "out_infer_wav_gap" in case.arrays:
        case.check("out_src_har_gap", model.decoder.source(case["in_f0_gap"], start)[0], SOURCE)
        case.check("out_infer_wav_gap", model.infer(model_input(case, "in_f0_gap"), None, start), AUDIO)
    if "out_infer_wav_noise04" in case.arrays:
        case.check("out_infer_wav_noise04", model.infer(batch, 0.4 * case["in_noise"], start), AUDIO)
    if "out_infer_wav_autof0" in case.arrays:
        case.check("out_infer_wav_autof0", model.infer(batch, None, start, predict_f0=True), AUTO_F0_AUDIO)
    if "out_src_har_phase" in case.arrays:
        phases = case["in_rand_ini"].clone()
        phases[:, 0] = 0
        source, _ = model.decoder.source(batch.f0_hz, start, overtone_phase=phases)
        case.check("out_src_har_phase", source, SOURCE)


@torch.no_grad()
def test_decoder_matches_closely_when_the_source_is_given(shared: Path) -> None:
    model, case = sovits_model(folder_of(shared, "sv41_vec768_vol"), "G_2400.pth")
    speaker = model.speaker(case["in_sid"]).unsqueeze(-1)
    audio = model.decoder.generate(case["in_z_in"], case["out_src_har"].unsqueeze(1), speaker)
    case.check("out_dec_wav", audio, 2e-5)


@torch.no_grad()
def test_speaker_may_change_per_frame(shared: Path) -> None:
    model, case = sovits_model(folder_of(shared, "sv41_vec768_vol"), "G_2400.pth")
    batch = model_input(case)
    mask = batch.mask()
    mixed = (case["in_mix_w"] @ model.speaker.weight[:2]).transpose(1, 2)
    x = model.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
    z = model.flow(model.prior(x, batch.f0_hz, mask)[0], mask, mixed, reverse=True)
    case.check("out_mix_z", z, LATENT)
    case.check("out_mix_wav", model.decoder(z, batch.f0_hz, batch.voiced, mixed, torch.zeros(1)), AUDIO)


@torch.no_grad()
def test_float16_weights(shared: Path) -> None:
    folder = folder_of(shared, "sv41_vec768_vol")
    case = Case(folder)
    model = import_voice(folder / "G_2400_release_half.pth").build()
    golden = Case(folder, "golden_half.npz")
    batch = model_input(case)
    golden.check("out_infer_z", model.infer_latent(batch)[0], LATENT)
    golden.check("out_infer_wav", model.infer(batch, None, torch.zeros(1)), AUDIO)


def rvc_input(case: Case) -> ModelInput:
    content = case["in_phone"].transpose(1, 2)
    # Voices without F0 are given one, and must not hear it.
    f0_hz = case["in_pitchf"] if "in_pitchf" in case.arrays else torch.full((1, content.shape[2]), 220.0)
    zeros = torch.zeros_like(f0_hz)
    voiced = (f0_hz > 0).float()
    return ModelInput(content, f0_hz, voiced, zeros, torch.tensor([content.shape[2]]), case["in_sid"])


@pytest.mark.parametrize("name", RVC)
@torch.no_grad()
def test_rvc(shared: Path, name: str) -> None:
    folder = folder_of(shared, name)
    (path,) = (p for p in folder.glob("*.pth") if p.name[:2] not in ("G_", "D_"))
    model = import_voice(path).build(inference=False)
    case = Case(folder)
    batch = rvc_input(case)
    mask = batch.mask()
    start = torch.zeros(1)
    speaker = model.speaker(batch.speaker_id).unsqueeze(-1)
    x = model.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
    if "in_pitch" in case.arrays:
        assert torch.equal(coarse_f0(batch.f0_hz), case["in_pitch"])
    case.check("out_enc_p_in", model.prior.embed(x, batch.f0_hz), LATENT)
    mean, log_std = model.prior(x, batch.f0_hz, mask)
    case.check("out_enc_p_m", mean, LATENT)
    case.check("out_enc_p_logs", log_std, LATENT)
    case.check("out_flow_rev_out", model.flow(case["in_z_p_in"], mask, speaker, reverse=True), LATENT)
    case.check("out_flow_fwd_out", model.flow(case["in_z_in"], mask, speaker), LATENT)
    case.check("out_infer_z", model.infer_latent(batch)[0], LATENT)
    if model.decoder.source is not None:
        case.check("out_src_har", model.decoder.source(batch.f0_hz, start)[0], SOURCE)
    case.check("out_dec_wav", model.decoder(case["in_z_in"], batch.f0_hz, mask[:, 0], speaker, start), RVC_AUDIO)
    case.check("out_infer_wav", model.infer(batch, None, start), RVC_AUDIO)
    if "out_infer_wav_noise" in case.arrays:
        case.check("out_infer_wav_noise", model.infer(batch, 0.66666 * case["in_noise"], start), RVC_AUDIO)


@torch.no_grad()
def test_rvc_training_layout(shared: Path) -> None:
    folder = folder_of(shared, "rvc_v2_40k")
    voice = import_voice(folder / "G_2333333.pth")
    assert (voice.spec.sample_rate, voice.spec.hop_length, voice.spec.n_fft) == (40_000, 400, 2048)
    model = voice.build(inference=False)
    case, trained = Case(folder), Case(folder, "golden_train.npz")
    batch = rvc_input(case)
    speaker = model.speaker(batch.speaker_id).unsqueeze(-1)
    mean, log_std = model.posterior(trained["in_spec"], batch.mask(), speaker)
    trained.check("out_enc_q_m", mean, LATENT)
    trained.check("out_enc_q_logs", log_std, LATENT)
    trained.check("out_infer_wav", model.infer(batch, None, torch.zeros(1)), RVC_AUDIO)


@pytest.mark.parametrize(
    ("name", "periods"), [("sv41_vec768_vol", (2, 3, 5, 7, 11)), ("rvc_v2_40k", (2, 3, 5, 7, 11, 17, 23, 37))]
)
@torch.no_grad()
def test_discriminators(shared: Path, name: str, periods: tuple[int, ...]) -> None:
    folder = folder_of(shared, name)
    model = MpdMsd(periods)
    model.load_state_dict(discriminator_state(load(folder, "D_*.pth")["model"]), strict=True)
    case = Case(folder, "golden_disc.npz")
    outputs = model.eval()(case["in_y"].reshape(1, 1, -1))
    assert len(outputs) == 1 + len(periods)
    for i, (score, features) in enumerate(outputs):
        expected = case.arrays[f"out_d{i}_out"]
        case.check(f"out_d{i}_out", score, 5e-5 * np.abs(expected).max())
        assert f"out_d{i}_fmap{len(features)}_mean" not in case.arrays
        for j, feature in enumerate(features):
            limit = 5e-5 * feature.abs().max().item()
            assert feature.shape[1:] == tuple(case.arrays[f"out_d{i}_fmap{j}_shape"])[-feature.dim() + 1 :]
            first = feature.flatten()[:16]
            case.check(f"out_d{i}_fmap{j}_first16", first[None], limit)
            assert abs(feature.mean().item() - case.arrays[f"out_d{i}_fmap{j}_mean"]) <= limit
            assert abs(feature.double().std().item() - case.arrays[f"out_d{i}_fmap{j}_std"]) <= limit


@torch.no_grad()
def test_losses(shared: Path) -> None:
    folder = folder_of(shared, "sv41_vec768_vol")
    model = MpdMsd()
    model.load_state_dict(discriminator_state(load(folder, "D_*.pth")["model"]), strict=True)
    case, latents = Case(folder, "golden_disc.npz"), Case(folder)
    real, fake = (model.eval()(case[key].reshape(1, 1, -1)) for key in ("in_y", "in_y_hat"))
    ours = {
        "out_loss_disc": losses.discriminator_loss(real, fake),
        "out_loss_gen": losses.generator_adversarial_loss(fake),
        # The recorded one holds its weight of 2.
        "out_loss_fm": 2 * losses.feature_matching_loss(real, fake),
        "out_loss_kl": losses.kl_loss(
            latents["in_z_p_in"],
            latents["out_enc_q_logs"],
            latents["out_enc_p_m"],
            latents["out_enc_p_logs"],
            torch.ones(1, 1, 64),
        ),
    }
    for key, value in ours.items():
        assert value.item() == pytest.approx(float(case.arrays[key]), rel=1e-4), key
