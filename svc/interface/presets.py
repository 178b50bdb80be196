"""A voice's own settings, wherever the voice is chosen: its preset in the controls, its speakers to choose from."""

from typing import TYPE_CHECKING, Any

from svc.config import ConvertOptions
from svc.interface.controls import Controls
from svc.interface.page import Page
from svc.interface.texts import field_key
from svc.interface.voices import VoiceEntry

if TYPE_CHECKING:
    import gradio as gr


def speaker_choice(page: Page, elem_id: str) -> "gr.Dropdown":
    """A dropdown of the speakers of a voice, hidden while there is but one; see `follow_voice`."""
    import gradio as gr

    return gr.Dropdown(
        [],
        label=page.text(field_key(ConvertOptions, "speaker", "label")),
        elem_id=elem_id,
        visible=False,
        allow_custom_value=True,
    )


def follow_voice(
    page: Page, voice: "gr.Dropdown", controls: Controls, speaker: "gr.Dropdown | None" = None
) -> "gr.State":
    """Show the preset of the voice that is chosen, and its speakers.

    A voice without a preset leaves the controls alone, unless they show the preset of another one. The state that is
    returned holds the id of the voice whose preset is shown, "" for none.
    """
    import gradio as gr

    shown = gr.State("")
    targets = [*controls.components, *([speaker] if speaker is not None else [])]

    def chosen(voice_id: str | None, before: str, request: gr.Request) -> list[Any]:
        entry = next((entry for entry in page.voices(request) if entry.id == voice_id), None)
        preset = entry.preset if entry else {}
        updates = controls.show(preset) if preset or before else [gr.skip() for _ in controls.components]
        if speaker is not None:
            updates.append(_speakers(entry, preset))
        return [*updates, voice_id if preset else ""]

    page.on(voice.change, chosen, [voice, shown], [*targets, shown], queue=False)
    return shown


def _speakers(entry: VoiceEntry | None, preset: dict[str, Any]) -> Any:
    import gradio as gr

    names = [str(speaker.get("name", "")) for speaker in entry.speakers] if entry else []
    wanted = preset.get("speaker")
    value = wanted if wanted in names else (names[0] if names else None)
    return gr.update(choices=names, value=value, visible=len(names) > 1)


def other_speaker(entry: VoiceEntry, speaker: str | None) -> str | None:
    """The speaker for the options: None for the voice's first one, who sings anyway."""
    first = entry.speakers[0].get("name") if entry.speakers else None
    return None if speaker in (None, "", first) else speaker


def with_preset(entry: VoiceEntry, options: dict[str, Any]) -> dict[str, Any]:
    """Options of the API: the voice's preset, and over it what the client asks for."""
    return {**entry.preset, **options}


def differences(options: dict[str, Any]) -> dict[str, Any]:
    """Those of some options (plain data) that are not the defaults, files of the server left out."""
    usual = ConvertOptions().model_dump(mode="json")
    hidden = ("f0_file", "prompt", "index", "speaker_curve", "separate_model")
    return {k: v for k, v in options.items() if k in usual and v != usual[k] and k not in hidden}
