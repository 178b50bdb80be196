"""Whether a saved state may go on with the present settings and data, and from which example."""

import json
from typing import Any

from svc.config import Config, ModelConfig, TrainConfig
from svc.data.manifest import PreparedDataset
from svc.errors import CheckpointError
from svc.features.spec import FeatureSpec
from svc.progress import some
from svc.training.progress import MessageSink

# Settings that change which example comes when.
_ORDER = ("batch_size", "accumulate", "slice_frames", "seed")


def data_key(config: Config, prepared: PreparedDataset, processes: int) -> dict[str, Any]:
    """What the order of examples depends on."""
    train = config.train.model_dump()
    return {"fingerprint": prepared.fingerprint(), "processes": processes, **{name: train[name] for name in _ORDER}}


def describe(config: Config, prepared: PreparedDataset, processes: int) -> dict[str, str]:
    """What `check_continuation` compares, as JSON strings for the training state."""
    return {
        "config": json.dumps(config.model_dump(mode="json")),
        "spec": json.dumps(prepared.spec.to_dict()),
        "speakers": json.dumps(prepared.speakers),
        "data_key": json.dumps(data_key(config, prepared, processes)),
    }


def check_continuation(
    saved: dict[str, Any], config: Config, prepared: PreparedDataset, processes: int, messages: MessageSink
) -> tuple[int, int]:
    """The (epoch, batch) to go on with; changes that are allowed are told in sentences.

    Raises SpecMismatchError for other features, CheckpointError for other singers or model settings. With other
    data or another order of it the run goes on at the beginning of the next epoch.
    """
    FeatureSpec.from_dict(json.loads(saved["spec"])).require(prepared.spec, "The dataset")
    speakers = json.loads(saved["speakers"])
    if speakers != prepared.speakers:
        raise CheckpointError(
            f"The run was started with the singers {some(speakers)}, the dataset now holds "
            f"{some(prepared.speakers)}: start a new run with this run's voice as --base."
        )
    _check_settings(json.loads(saved["config"]), config.model_dump(mode="json"), messages)
    step, total = saved["step"], config.train.max_steps
    position = tuple(saved["position"])
    before, now = json.loads(saved["data_key"]), data_key(config, prepared, processes)
    if before == now:
        return position
    if before["fingerprint"] != now["fingerprint"]:
        messages(
            f"The dataset has changed since step {step}: the remaining {max(0, total - step)} of {total} steps run on "
            f"the changed data ({len(prepared.split('train'))} slices), from the beginning of an epoch."
        )
    else:
        names = ", ".join(name for name in now if now[name] != before[name])
        messages(f"The order of the data changes at step {step} ({names}): it goes on at the beginning of an epoch.")
    return position[0] + 1, 0


def _check_settings(before: dict[str, Any], now: dict[str, Any], messages: MessageSink) -> None:
    # Settings that came later stand at their defaults in older states.
    model = ModelConfig().model_dump(mode="json") | before["model"]
    other = [name for name in now["model"] if now["model"][name] != model[name]]
    if other:
        raise CheckpointError(
            f"The run was started with another model ({', '.join('model.' + name for name in other)}): "
            "continue it with the settings of its config.yaml, or start a new run."
        )
    train = TrainConfig().model_dump(mode="json") | before["train"]
    changed = [f"train.{name} {train[name]} -> {value}" for name, value in now["train"].items() if value != train[name]]
    if changed:
        messages(f"Settings changed since the run was started: {'; '.join(changed)}.")
