"""Controls made from settings, and settings made from controls."""

import pytest

gr = pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")

from pydantic import Field  # noqa: E402

from svc.config import Config, ConvertOptions  # noqa: E402
from svc.errors import ConfigError  # noqa: E402
from svc.interface.controls import Controls, is_path  # noqa: E402
from svc.settings import Settings  # noqa: E402

# Words a person may type, which name no file.
FREE_TEXT = {"speaker"}


def all_controls(model) -> Controls:
    controls = Controls(model)
    with gr.Blocks():
        controls.front(*controls.rest())
    return controls


def values_of(controls: Controls) -> list:
    return [component.value for component in controls.components]


@pytest.mark.parametrize("model", [ConvertOptions, Config])
def test_untouched_controls_give_the_defaults(model) -> None:
    controls = all_controls(model)
    assert controls.settings(values_of(controls)) == model()


def test_kinds_of_controls() -> None:
    controls = all_controls(ConvertOptions)
    slider = controls.component("noise_scale")
    assert isinstance(slider, gr.Slider) and (slider.minimum, slider.maximum, slider.value) == (0, 2, 0.35)
    assert isinstance(controls.component("vocals_only"), gr.Checkbox)
    assert [value for _, value in controls.component("separate").choices][:1] == ["refined"]
    assert controls.component("pitch_estimator").value == ""
    assert isinstance(all_controls(Config).component("train.max_minutes"), gr.Number)


def test_values_are_checked_in_one_sentence() -> None:
    controls = Controls(ConvertOptions)
    with gr.Blocks():
        controls.front("transpose", "noise_scale", "separate")
    assert controls.settings(["-3", 0.5, "none"]).transpose == -3.0
    for bad in (["much", 0.5, "none"], ["auto", 9, "none"], ["auto", 0.5, "sorcery"]):
        with pytest.raises(ConfigError):
            controls.settings(bad)


def test_show_gives_updates_for_a_preset() -> None:
    controls = Controls(ConvertOptions)
    with gr.Blocks():
        controls.front("transpose", "noise_scale", "pitch_estimator")
    updates = controls.show({"noise_scale": 0.7})
    assert [u["value"] for u in updates] == ["auto", 0.7, None]


@pytest.mark.parametrize("model", [ConvertOptions, Config])
def test_no_control_names_a_file_of_the_machine(model) -> None:
    """A new setting with free words must be put into controls.PATH_FIELDS or into FREE_TEXT here."""
    for control in all_controls(model).made:
        assert not is_path(control.path, control.field)
        if isinstance(control.component, gr.Textbox) and control.field.annotation in (str, str | None):
            assert control.path in FREE_TEXT


def test_a_field_that_names_a_file_is_refused() -> None:
    class WithFile(Settings):
        index: str | None = Field(None, description="A file.")

    with gr.Blocks(), pytest.raises(ValueError, match="names a file"):
        Controls(WithFile).front("index")
    assert Controls(WithFile).rest() == []
