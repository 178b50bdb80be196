"""Discrete HuBERT and its centres against the units of the original program."""

from pathlib import Path

import numpy as np

from svc.content.hubert_discrete import HubertDiscrete, HubertDiscreteCentres
from svc.content.hubert_files import read_hubert


def test_units_are_the_originals(shared: Path) -> None:
    folder = shared / "golden/parts/hubert_discrete"
    golden = np.load(folder / "golden.npz")
    path = folder / "hubert-discrete-96b248c5.pt"
    shape = read_hubert(path).shape
    facts = {"width": shape.width, "layer_count": shape.layers}
    ones = type("Tiny", (HubertDiscrete,), facts)(path=path)
    vectors = type("TinyCentres", (HubertDiscreteCentres,), facts | {"dim": shape.width})(path=path)
    assert ones.dim == ones.output_dim == 100 and vectors.dim == shape.width
    for clip in range(2):
        samples, units = golden[f"wav_{clip}"], golden[f"units_{clip}"]
        sure = golden[f"margin_{clip}"] > 1e-3
        assert sure.mean() > 0.9
        values = ones.encode_original(samples).values
        assert values.shape == (len(units), 100)
        assert set(np.unique(values)) == {0, 1} and (values.sum(axis=1) == 1).all()
        np.testing.assert_array_equal(values.argmax(axis=1)[sure], units[sure])
        np.testing.assert_array_equal(vectors.encode_original(samples).values[sure], ones.centres[units[sure]])
