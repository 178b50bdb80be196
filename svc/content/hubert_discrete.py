"""Discrete HuBERT (van Niekerk et al., arXiv 2111.02392): frames that say nothing but which of 100 units is heard.

Two files belong together: the network, and the k-means centres that were learnt on its layer 7.
"""

import hashlib
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from svc.content.hubert_encoder import HubertEncoder
from svc.content.unit_files import read_centres
from svc.content.units import nearest_units
from svc.content.weight_facts import hash_of, identity
from svc.errors import CheckpointError, ConfigError, WeightError

UNIT_LAYER = 7
CENTRE_ENDINGS = {".pt", ".bin", ".km"}
_counts: dict[tuple[str, int, int], int] = {}


class UnitCount:
    """How many units the centres have: the loaded ones on an encoder, those in pretrain/ on its class."""

    def __get__(self, instance: Any, owner: Any) -> int:
        if instance is not None:
            return len(instance.centres)
        path = owner.find_centres(owner.find_weights())
        key = identity(path)
        if key not in _counts:
            _counts[key] = len(_centres_of(path))
        return _counts[key]


class BothHashes:
    """One hash for the network and its centres: another file of either gives other frames."""

    def __get__(self, instance: Any, owner: Any) -> str:
        network = instance.path if instance is not None else owner.find_weights()
        centres = instance.centres_path if instance is not None else owner.find_centres(network)
        return hashlib.sha256(f"{hash_of(network)} {hash_of(centres)}".encode()).hexdigest()


class HubertDiscrete(HubertEncoder):
    """Units as 0 and 1: a frame has as many values as there are units, and a 1 at the one that is heard.

    A voice's first layer so learns a vector for each unit. Windows fade before units are chosen. The layer cannot
    be chosen, because the centres are those of layer 7, nor is there anything to normalise.
    """

    name: ClassVar[str] = "hubert_discrete"
    dim: ClassVar[int] = cast(int, UnitCount())
    width: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {UNIT_LAYER: 1.0}
    weights_sha256: ClassVar[str] = cast(str, BothHashes())
    file_names: ClassVar[tuple[str, ...]] = ("hubert-discrete-96b248c5.pt", "hubert_discrete.pt")
    centre_names: ClassVar[tuple[str, ...]] = ("kmeans100-50f36a95.pt",)
    families: ClassVar[tuple[str, ...]] = ("discrete",)
    original_padding: ClassVar[int] = 40
    origin: ClassVar[str] = (
        "https://github.com/bshall/hubert/releases (the discrete model, and its kmeans100 beside it)"
    )

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        path: Path | None = None,
        centres: Path | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        """As HubertEncoder; `centres` names the k-means file, None looks for it beside the network.

        Raises ConfigError for another layer than the centres', or a normalisation over the recording, WeightError
        for a missing file, CheckpointError for a damaged one and centres of another size.
        """
        super().__init__(layers, normalisation, device, path, stacked=stacked)
        if list(self.layers) != [UNIT_LAYER] or stacked:
            raise ConfigError(
                f"The units of content encoder '{self.name}' were learnt on layer {UNIT_LAYER}: leave the layers empty."
            )
        # A weight would move frames away from the centres.
        self.layers = {UNIT_LAYER: 1.0}
        if normalisation == "recording":
            raise ConfigError(
                f"The units of content encoder '{self.name}' cannot be normalised: choose adaptive or none."
            )
        self.centres_path = Path(centres) if centres is not None else self.find_centres(self.path)
        self.centres = _centres_of(self.centres_path)
        if self.centres.shape[1] != self.width:
            raise CheckpointError(
                f"The centres in {self.centres_path} have {self.centres.shape[1]} values, where {self.width} are "
                "wanted: use the k-means file that belongs to the network."
            )

    @classmethod
    def find_centres(cls, network: Path) -> Path:
        """The k-means file beside `network`, by name, else the only one whose name begins with kmeans; WeightError."""
        folder = network.parent
        for name in cls.centre_names:
            if (folder / name).is_file():
                return folder / name
        found = sorted(
            path for path in folder.glob("kmeans*") if path.suffix.lower() in CENTRE_ENDINGS and path.is_file()
        )
        if len(found) != 1:
            raise WeightError(
                f"Content encoder '{cls.name}' needs the k-means file {cls.centre_names[0]} beside {network.name}: get "
                f"it from {cls.origin}, and put it into {folder}/."
            )
        return found[0]

    @classmethod
    def network_dim(cls) -> int:
        """Values of the network's frames, from which units are chosen."""
        return cls.width

    def units(self, values: np.ndarray) -> np.ndarray:
        """Unit (T,) int64 of each frame (T, D) of the network."""
        return nearest_units(values, self.centres)

    def _given(self, values: np.ndarray) -> np.ndarray:
        return np.eye(len(self.centres), dtype=np.float32)[self.units(values)]


class HubertDiscreteCentres(HubertDiscrete):
    """Units as the centres themselves: 768 values that move in steps from unit to unit."""

    name: ClassVar[str] = "hubert_discrete_centres"
    dim: ClassVar[int] = 768

    def _given(self, values: np.ndarray) -> np.ndarray:
        return self.centres[self.units(values)]


def _centres_of(path: Path) -> np.ndarray:
    by_singer = read_centres(path)
    if set(by_singer) != {""}:
        raise CheckpointError(
            f"{path} has centres for {', '.join(by_singer)}, where one set of units is wanted: use the k-means file "
            "that belongs to the network."
        )
    return by_singer[""]
