"""Lines that ship with the base voice, trained on beside a new singer's recordings.

A few minutes of one singer hold few sounds of one language. Trained on them alone, a base keeps the voice and loses
the words (docs/results.md, test T1): so a share of every batch is lines of many other singers.
"""

from svc.config import Config, PrepareConfig
from svc.data.manifest import MANIFEST_NAME, PreparedDataset
from svc.data.prepare import prepare_dataset
from svc.errors import DatasetError
from svc.features.spec import FeatureSpec, config_from_spec
from svc.paths import asset, runs_dir
from svc.training.progress import MessageSink

LINES = "base_lines"
# They are prepared once for all runs with the same features.
PREPARED = ".base_lines"


def replay_lines(spec: FeatureSpec, messages: MessageSink) -> PreparedDataset:
    """The lines with the features of `spec`, prepared at first use below the folder of runs.

    Raises DatasetError where this version ships none, and what `prepare_dataset` raises.
    """
    raw = asset(LINES)
    if not raw.is_dir():
        raise DatasetError("This version ships no lines of the base: train with train.replay_share 0.")
    folder = runs_dir() / PREPARED / spec.fingerprint()
    if not (folder / MANIFEST_NAME).is_file():
        messages("The lines of the base are prepared, once for all trainings with these features.")
    # Asked each time: what is there already is kept, and lines that a newer version ships are added.
    settings = PrepareConfig(separate="none", validation_fraction=0.0, workers=1)
    return prepare_dataset(raw, folder, Config(features=config_from_spec(spec), prepare=settings))
