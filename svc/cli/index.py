"""`svc index`: a singer's recordings to an index of her sounds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from svc.cli.console import emit, say, stage
from svc.cli.options import (
    Device,
    Json,
    Recipe,
    Separate,
    UsageError,
    pick_device,
    require_exists,
    resolve_config,
    voice_file,
)

if TYPE_CHECKING:
    from svc.data.manifest import PreparedDataset
    from svc.features.spec import FeatureSpec


def index(
    singer_dir: Path,
    *,
    voice: Path | None = None,
    output: Path | None = None,
    clusters: Annotated[int, Parameter(help="K-means centres for each singer.")] = 512,
    config: Recipe = "fast",
    separate: Separate = None,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Build the index that retrieval_ratio and cluster_ratio of a conversion look sounds up in.

    Parameters
    ----------
    singer_dir
        A prepared dataset (of a training run: runs/NAME/dataset), or recordings, which are prepared for the voice.
    voice
        The voice it is for; its content encoder is used, and another one's dataset refused.
    output
        The index file; by default beside the voice, NAME.index.safetensors, where a conversion finds it by itself.
    config
        Recipe for preparing recordings when no voice is named.
    """
    from svc.checkpoint.importers.opening import open_voice
    from svc.checkpoint.voice_index import ENDING, index_beside, save_index
    from svc.conversion.indexing import build_index

    require_exists(singer_dir, "folder")
    if voice is None and output is None:
        raise UsageError("Name the voice the index is for with --voice, or the file to write with --output.")
    if not 1 <= clusters <= 100_000:
        raise UsageError(f"--clusters must lie between 1 and 100000 (got {clusters}).")
    spec = None
    if voice is not None:
        spec = open_voice(voice_file(voice)).spec
        output = output or index_beside(voice)
    assert output is not None
    if output.suffix.lower() != ".safetensors":
        raise UsageError(f"'{output}' cannot be the index: give it a name that ends in {ENDING}.")
    dataset = _dataset(singer_dir, output, spec, (config, separate, pick_device(device)))
    with stage("Building the index") as update:
        made = build_index(dataset, clusters, progress=update)
    if spec is not None:
        made.require(spec, str(output))
    save_index(output, made)
    singers = {
        name: {
            "frames": len(s.frames.vectors) if s.frames else 0,
            "clusters": 0 if s.clusters is None else len(s.clusters),
        }
        for name, s in made.singers.items()
    }
    text = ", ".join(f"{name}: {s['frames']} frames, {s['clusters']} clusters" for name, s in singers.items())
    emit({"index": str(output), "singers": singers}, json, f"{text} -> {output}")
    return 0


def _dataset(
    singer_dir: Path, output: Path, spec: "FeatureSpec | None", how: tuple[str, str | None, str]
) -> "PreparedDataset":
    """The prepared dataset in `singer_dir`, or what preparing the recordings in it gives."""
    from svc.checkpoint.voice_index import VoiceIndex, content_of
    from svc.cli.prepare import prepare_and_tell
    from svc.data.manifest import MANIFEST_NAME, PreparedDataset

    if (singer_dir / MANIFEST_NAME).is_file():
        dataset = PreparedDataset.open(singer_dir)
        if spec is not None:
            VoiceIndex(dataset.spec.content_dim, {}, content_of(dataset.spec)).require(spec, f"of {singer_dir}")
        return dataset
    config, separate, device = how
    settings = resolve_config(config, None, {"prepare.separate": separate})
    if spec is not None:
        from svc.features.spec import config_from_spec

        settings = settings.model_copy(update={"features": config_from_spec(spec)})
    folder = output.with_name(output.name.removesuffix(".safetensors") + ".dataset")
    say(f"The recordings are prepared in {folder}")
    return prepare_and_tell(singer_dir, folder, settings, device)[0]
