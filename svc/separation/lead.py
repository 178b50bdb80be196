"""The preset for songs with backing vocals and reverberation: vocals, then the lead alone, then dry."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from svc.errors import WeightError
from svc.paths import pretrain_dir
from svc.registry import DEFAULT_SEPARATOR, SEPARATORS
from svc.separation.choosing import STAGED, Choice, choose
from svc.separation.demucs_weights import local_files, weight_folder
from svc.separation.model_files import DEREVERB, LEAD, PURPOSES, VOCALS, model_files
from svc.separation.separator import BLOCK_SAMPLES, Separator, VocalStream, resampled_stream

# In the order in which they are looked for; demucs knows no lead vocals.
METHODS = ("roformer", "mdx", "vr")
EXAMPLES = {LEAD: "roformer-karaoke", DEREVERB: "roformer-dereverb"}


class Lead(Separator):
    """Three models one after the other: vocals out of the song, the lead out of the vocals, the dry sound out of that.

    `stages` are their choices. The accompaniment is everything else: instruments, backing vocals, reverberation; both
    stems sum to the song as with every method.
    """

    name = STAGED
    quality_note = (
        "lead: three of your models in a row (vocals, lead alone, without reverberation); best for training on songs "
        "with choirs, three times as slow."
    )
    sample_rate = 44_100

    def __init__(self, device: str = "cpu", stages: tuple[Choice, ...] | None = None) -> None:
        super().__init__(device)
        chosen = stages if stages is not None else choose_stages(None).options["stages"]
        self.stages = [choice.create(device) for choice in chosen]
        self.sample_rate = self.stages[0].sample_rate

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream through all stages; a stage that must see the whole song first hears it through those before."""
        streams: list[VocalStream] = []
        source = pair
        for stage in self.stages:
            streams.append(resampled_stream(stage, source, self.sample_rate))
            source = _through(stage, source, self.sample_rate)
        return _Chain(streams)


class _Chain:
    """Streams one after the other."""

    def __init__(self, streams: list[VocalStream]) -> None:
        self._streams = streams

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        for stream in self._streams:
            block = stream.process(block, last)
        return block


def _through(
    stage: Separator, source: Callable[[], Iterator[np.ndarray]], rate: int
) -> Callable[[], Iterator[np.ndarray]]:
    """What comes out of a stage, read from the start as often as asked."""

    def blocks() -> Iterator[np.ndarray]:
        stream = resampled_stream(stage, source, rate)
        held: np.ndarray | None = None
        for block in source():
            if held is not None:
                yield stream.process(held)
            held = block
        if held is not None:
            rest = stream.process(held, last=True)
            for start in range(0, rest.shape[1], BLOCK_SAMPLES):
                yield rest[:, start : start + BLOCK_SAMPLES]

    return blocks


def choose_stages(model: str | Path | None) -> Choice:
    """The preset's three models: `model` for the vocals, else the best one that is here; the others by what they are.

    Raises WeightError, with the line that gets one, where a model for the lead or against reverberation is missing.
    """
    first = choose(DEFAULT_SEPARATOR, model) if model else _best_for_vocals()
    stages = (first, _stage(LEAD), _stage(DEREVERB))
    return Choice(STAGED, {"stages": stages}, tuple(path for stage in stages for path in stage.files))


def _best_for_vocals() -> Choice:
    for method in METHODS:
        if _models(method, VOCALS):
            return _one(VOCALS, method)
    if local_files(weight_folder()):
        return choose("demucs")
    return Choice(DEFAULT_SEPARATOR)


def _stage(kind: str) -> Choice:
    for method in METHODS:
        if _models(method, kind):
            return _one(kind, method)
    folders = ", ".join(str(pretrain_dir() / method) for method in METHODS)
    raise WeightError(
        f"The separation method '{STAGED}' needs a model that separates {PURPOSES[kind]}, and none is in {folders}: "
        f"run  svc weights get {EXAMPLES[kind]}  or put your own there."
    )


def _one(kind: str, method: str) -> Choice:
    found = _models(method, kind)
    if len(found) > 1:
        raise WeightError(
            f"{pretrain_dir() / method}/ holds several models that separate {PURPOSES[kind]} "
            f"({', '.join(path.name for path in found)}): leave one of them there."
        )
    return Choice(method, {"model": found[0]}, (found[0],))


def _models(method: str, kind: str) -> list[Path]:
    separator = SEPARATORS.load(method)
    return [path for path in model_files(method, separator.endings) if separator.kind_of(path) == kind]
