import pytest
import torch
from torch import Tensor

from svc.models.vits.attention import FeedForward, RelativeAttention


def full_attention(layer: RelativeAttention, x: Tensor, mask: Tensor) -> Tensor:
    """The textbook form: a (T, T) table of relative keys and values, zero beyond the window."""
    batch, channels, frames = x.shape
    size = channels // layer.heads
    q, k, v = (
        conv(x).view(batch, layer.heads, size, frames).transpose(2, 3)
        for conv in (layer.conv_q, layer.conv_k, layer.conv_v)
    )
    scores = q @ k.transpose(2, 3) / size**0.5
    distance = torch.arange(frames)[None, :] - torch.arange(frames)[:, None]
    if layer.window is not None:
        near = (distance.abs() <= layer.window)[..., None]
        index = (distance + layer.window).clamp(0, 2 * layer.window)
        keys = layer.emb_rel_k[0][index] * near
        values = layer.emb_rel_v[0][index] * near
        scores = scores + torch.einsum("bhid,ijd->bhij", q, keys) / size**0.5
    scores = scores.masked_fill(mask[:, :, None] == 0, -1e4)
    if layer.causal:
        scores = scores.masked_fill(distance > 0, -1e4)
    weights = scores.softmax(-1)
    out = weights @ v
    if layer.window is not None:
        out = out + torch.einsum("bhij,ijd->bhid", weights, values)
    return layer.conv_o(out.transpose(2, 3).reshape(batch, channels, frames))


@pytest.mark.parametrize("chunk", [None, 5, 16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("frames", "window", "heads"),
    [(1, 4, 2), (3, 4, 1), (9, 4, 2), (40, 4, 3), (41, 10, 2), (37, None, 2), (64, 1, 6), (50, 64, 2)],
)
def test_bands_equal_the_full_form(
    frames: int, window: int | None, heads: int, causal: bool, chunk: int | None
) -> None:
    torch.manual_seed(frames)
    layer = RelativeAttention(12, heads, window, causal=causal, chunk=chunk)
    x = torch.randn(3, 12, frames, requires_grad=True)
    lengths = torch.tensor([frames, max(1, frames - 3), max(1, frames // 2)])
    mask = (torch.arange(frames) < lengths[:, None])[:, None].float()
    weight = torch.randn(3, 12, frames) * mask
    inputs = [x, *layer.parameters()]
    results = []
    for form in (layer(x, mask), full_attention(layer, x, mask)):
        gradients = torch.autograd.grad((form * weight).sum(), inputs)
        results.append([form * mask, *gradients])
    for banded, full in zip(*results):
        torch.testing.assert_close(banded, full, atol=1e-5, rtol=1e-5)


def test_long_input_is_chunked_and_equal() -> None:
    torch.manual_seed(0)
    layer = RelativeAttention(4, 2, 4)
    x, mask = torch.randn(1, 4, 1500), torch.ones(1, 1, 1500)
    seen = []
    original = layer._attend
    layer._attend = lambda q, *rest: seen.append(q.shape[2]) or original(q, *rest)  # type: ignore[method-assign]
    with torch.no_grad():
        out = layer(x, mask)
        assert sum(seen) == 1500
        assert max(seen) * 2 * 1500 <= 1 << 22
        assert len(seen) > 1
        torch.testing.assert_close(out, full_attention(layer, x, mask), atol=1e-5, rtol=1e-5)


def test_relative_keys_and_values_matter() -> None:
    torch.manual_seed(0)
    layer = RelativeAttention(8, 2, 4)
    x, mask = torch.randn(1, 8, 20), torch.ones(1, 1, 20)
    before = layer(x, mask)
    for table in (layer.emb_rel_k, layer.emb_rel_v):
        saved = table.detach().clone()
        with torch.no_grad():
            table.zero_()
            assert (layer(x, mask) - before).abs().max() > 1e-3
            table.copy_(saved)


def test_causal_layers_do_not_see_later_frames() -> None:
    torch.manual_seed(0)
    attention = RelativeAttention(8, 2, None, causal=True, chunk=7)
    feed = FeedForward(8, 12, 3, 0.0, causal=True)
    x, mask = torch.randn(1, 8, 20), torch.ones(1, 1, 20)
    later = x.clone()
    later[:, :, 12:] += 1
    for layer in (attention, feed):
        change = (layer(x, mask) - layer(later, mask)).abs().amax((0, 1))
        assert change[:12].max() == 0
        assert change[12:].max() > 0


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("causal", [False, True])
def test_feed_forward_keeps_length_and_ignores_padding(kernel: int, causal: bool) -> None:
    layer = FeedForward(6, 10, kernel, 0.0, causal)
    x = torch.randn(1, 6, 15)
    mask = (torch.arange(15) < 9)[None, None].float()
    out = layer(x, mask)
    assert out.shape == x.shape
    assert out[:, :, 9:].abs().max() == 0
    torch.testing.assert_close(out[:, :, :9], layer(x[:, :, :9], mask[:, :, :9]))


def test_heads_must_divide_channels() -> None:
    with pytest.raises(ValueError, match="5 heads"):
        RelativeAttention(12, 5)
