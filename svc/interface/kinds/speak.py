"""Text to speech, and the speech in a voice of the library, as one job; engines stay loaded."""

from typing import Any

from svc.config import ConvertOptions
from svc.interface.jobs.context import JobContext
from svc.settings import build

SPEECH_SHARE = 0.4


def speak(context: JobContext) -> dict[str, Any]:
    """Settings "engine", "engine_voice", "text", "speed", "options" (fields of ConvertOptions), "format" (wav ...).

    Input "voice", if it is to be converted. Makes outputs/speech.<format>, what the engine said, and
    outputs/spoken.<format>, the same in the voice. Returns their lengths and the transposition.
    """
    from svc.audio.writing import write_audio
    from svc.speech.speech import create_engine

    settings = context.settings
    ending = settings.get("format", "wav")
    share = SPEECH_SHARE if context.has_input("voice") else 1.0
    context.stage("speaking", 0.0, share)
    engine = context.kept.get(("speech", settings["engine"]), lambda: create_engine(settings["engine"]))
    speech = engine.speak(settings["text"], settings.get("engine_voice", ""), settings["speed"], context.progress)
    write_audio(context.outputs / f"speech.{ending}", speech)
    result: dict[str, Any] = {"seconds": round(speech.seconds, 2), "result": f"speech.{ending}"}
    if not context.has_input("voice"):
        return result
    from svc.interface.kinds.convert import converter_of

    # Speech is dry: there is nothing to take out of it.
    options = build(ConvertOptions, {**settings["options"], "separate": "none"}, "the form")
    converter = converter_of(context)
    context.stage("conversion", share, 1 - share)
    spoken, report = converter.convert_reported(speech, options, context.progress)
    write_audio(context.outputs / f"spoken.{ending}", spoken)
    told = {"speaker": report.speaker, "transpose_semitones": report.transpose_semitones}
    return {**result, **told, "result": f"spoken.{ending}"}
