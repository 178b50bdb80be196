"""What a tab is given to build itself with."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.interface import texts
from svc.interface.boards import Boards
from svc.interface.controls import Controls
from svc.interface.files import UserFiles, fresh_place, resolve_allowed
from svc.interface.jobs.queue import JobQueue
from svc.interface.jobs.record import JobView
from svc.interface.settings import ServerSettings
from svc.interface.shown import shown
from svc.interface.users import language_of, owner_of
from svc.interface.voices import VoiceEntry, find_voice, list_voices
from svc.settings import Settings

if TYPE_CHECKING:
    import gradio as gr

SERVED_SECONDS = 24 * 3600


@dataclass
class Page:
    """The server's side of the page: one object for all users. A user is known by the gr.Request of a handler."""

    settings: ServerSettings
    jobs: JobQueue
    boards: Boards = field(default_factory=Boards)
    _loads: list[tuple[Callable[..., Any], list[Any], list[Any]]] = field(default_factory=list)

    # Words

    def text(self, key: str) -> Any:
        """A label, translated in the browser; KeyError for a key that languages/en.json lacks."""
        return texts.text(key)

    def language(self, request: "gr.Request") -> str:
        """The reader's language, for words that the server writes."""
        return language_of(request, self.settings.language)

    def say(self, request: "gr.Request", key: str, **values: object) -> str:
        """A text in the reader's language with {names} filled in."""
        return texts.say(self.language(request), key, **values)

    # Users

    def owner(self, request: "gr.Request") -> str:
        """The user's id."""
        return owner_of(request)

    def home(self, request: "gr.Request") -> Path:
        """The user's own folder: files/, voices/."""
        return self.settings.home(self.owner(request))

    def files(self, request: "gr.Request") -> UserFiles:
        """The user's uploads."""
        return UserFiles(self.home(request), self.settings.cache_folder, self.settings.upload_limit_mb)

    def server_path(self, path: str) -> Path:
        """A file or folder of the server that a user named in a field: under --allow folders only, else FileRefused."""
        return resolve_allowed(path, self.settings.allow)

    def voices(self, request: "gr.Request") -> list[VoiceEntry]:
        """The voices the user can choose."""
        return list_voices(self.home(request))

    def voice(self, request: "gr.Request", voice_id: str | None) -> VoiceEntry:
        """One of them; CheckpointError asks to choose one."""
        return find_voice(self.home(request), voice_id)

    # Jobs

    def submit(
        self,
        request: "gr.Request",
        kind: str,
        settings: dict[str, Any],
        *,
        title: str,
        inputs: dict[str, Path] | None = None,
        labels: dict[Path, str] | None = None,
    ) -> JobView:
        """Put a job of the user into the queue; see JobQueue.submit."""
        return self.jobs.submit(
            self.owner(request),
            kind,
            settings,
            title=title,
            home=self.home(request),
            inputs=inputs,
            labels=labels,
            device=self.settings.device,
        )

    def serve(self, path: Path, label: str) -> str:
        """A path for gr.Audio, gr.File, gr.Image or gr.DownloadButton under which the browser gets `path` as `label`.

        The name in the address is random, and gone after a day; nothing is copied where the disk has hard links.
        """
        target = fresh_place(self.settings.cache_folder, label, path.suffix)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
        return str(target)

    def clean_cache(self) -> None:
        """Remove what was uploaded or served more than a day ago."""
        oldest = time.time() - SERVED_SECONDS
        with contextlib.suppress(OSError):
            for folder in self.settings.cache_folder.iterdir():
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)

    # Building

    def controls(self, model: type[Settings], prefix: str = "") -> Controls:
        """Controls for fields of `model`; element ids begin with `prefix`."""
        return Controls(model, prefix)

    def on(
        self,
        event: Callable[..., Any],
        function: Callable[..., Any],
        inputs: Sequence[Any] = (),
        outputs: Sequence[Any] = (),
        api_name: str | None = None,
        **more: Any,
    ) -> Any:
        """Connect `event` (such as button.click) with `function`, its errors shown as sentences.

        `function` takes the inputs' values, and a parameter annotated `gr.Request` if it wants to know the user.
        With `api_name` it is a public endpoint of the API, otherwise none.
        """
        visibility: dict[str, Any] = {"api_name": api_name} if api_name else {"api_visibility": "private"}
        return event(shown(function), list(inputs), list(outputs), **{"show_progress": "hidden", **visibility, **more})

    def api(
        self,
        name: str,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        output: "gr.components.Component | None" = None,
    ) -> None:
        """An endpoint /`name` of the API that no control of the page calls: function(request, *values) -> plain data.

        `inputs` are components, and the function's parameters after the first give them their names in the API;
        `output` is a gr.JSON unless another one is given.
        """
        import inspect

        import gradio as gr

        def handler(request: gr.Request, *values: Any) -> Any:
            return function(request, *values)

        names = list(inspect.signature(function).parameters.values())[1:]
        if all(name.kind is not inspect.Parameter.VAR_POSITIONAL for name in names):
            asks = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
            plain = [name.replace(annotation=inspect.Parameter.empty) for name in names[: len(inputs)]]
            handler.__signature__ = inspect.Signature([asks, *plain])  # type: ignore[attr-defined]

        trigger = gr.Button(visible=False)
        self.on(trigger.click, handler, inputs, [output or gr.JSON(visible=False)], api_name=name, queue=False)

    def on_load(self, function: Callable[..., Any], inputs: Sequence[Any] = (), outputs: Sequence[Any] = ()) -> None:
        """Have `function` fill `outputs` when a browser opens the page."""
        self._loads.append((function, list(inputs), list(outputs)))

    def connect_loads(self, blocks: "gr.Blocks") -> None:
        """Called once by the app when all tabs are built."""
        for function, inputs, outputs in self._loads:
            self.on(blocks.load, function, inputs, outputs, queue=False)

    def voice_choice(self, elem_id: str, label_key: str = "common.voice") -> "gr.Dropdown":
        """A dropdown of the user's voices, fresh at every opening; its value is a voice's id."""
        import gradio as gr

        box = gr.Dropdown([], value=None, label=self.text(label_key), elem_id=elem_id, allow_custom_value=True)

        def refresh(chosen: str | None, request: gr.Request) -> Any:
            entries = self.voices(request)
            known = [entry.id for entry in entries]
            value = chosen if chosen in known else (known[0] if known else None)
            return gr.update(choices=[(entry.label, entry.id) for entry in entries], value=value)

        self.on_load(refresh, [box], [box])
        self.on(box.focus, refresh, [box], [box], queue=False)
        return box

    def player(self, label_key: str, elem_id: str) -> "gr.Audio":
        """A player with waveform and download; give it `serve(...)` paths."""
        import gradio as gr

        return gr.Audio(
            label=self.text(label_key),
            elem_id=elem_id,
            type="filepath",
            interactive=False,
            buttons=["download"],
        )
