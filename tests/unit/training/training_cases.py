"""What several training tests share."""

from pathlib import Path

from svc.config import Config

RECIPES = Path(__file__).resolve().parents[3] / "configs"


class Sink(list):
    """Collects messages; as a progress display, collects its reports."""

    def __call__(self, sentence: str) -> None:
        self.append(sentence)

    def update(self, *report: object) -> None:
        self.append(report)


def changed(config: Config, **train: object) -> Config:
    """`config` with other training settings."""
    return config.model_copy(update={"train": config.train.model_copy(update=train)})


def base_model(config: Config) -> Config:
    """`config` with a model that has everything a base voice has."""
    parts = {"prompt_encoder": True, "formant_input": True}
    return config.model_copy(update={"model": config.model.model_copy(update=parts)})
