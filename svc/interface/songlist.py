"""Many songs in one box: dropped together, each checked by its content; what is no song is named with the reason."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.errors import SvcError
from svc.interface.files import StoredFile
from svc.interface.jobblock import clock
from svc.interface.page import Page

if TYPE_CHECKING:
    import gradio as gr

MOST_SONGS = 500


class SongList:
    """An upload box, and below it how much was taken and what was not.

    `ids` holds the stored files' ids, in order, for handlers.
    """

    def __init__(self, page: Page, name: str, label_key: str) -> None:
        import gradio as gr

        self._page = page
        self.upload = gr.File(label=page.text(label_key), file_count="multiple", height=150, elem_id=f"{name}-songs")
        self.ids = gr.Textbox("", label=page.text("songs.ids"), visible=False, elem_id=f"{name}-ids")
        self.shown = gr.HTML("", elem_id=f"{name}-list")
        taken = gr.State({})

        def arrived(paths: list[str] | None, known: dict[str, str], request: gr.Request) -> list[Any]:
            files = page.files(request)
            kept: dict[str, str] = {}
            refused: list[str] = []
            for path in (paths or [])[:MOST_SONGS]:
                try:
                    kept[path] = known.get(path) or files.add_audio(path).id
                except SvcError as error:
                    refused.append(str(error))
            stored = [files.get(file_id) for file_id in kept.values()]
            return [" ".join(kept.values()), self._told(stored, refused, request), kept]

        page.on(self.upload.change, arrived, [self.upload, taken], [self.ids, self.shown, taken])

    def stored(self, ids: str, request: "gr.Request") -> list[StoredFile]:
        """The songs of these ids; FileRefused for one that the user has not. Ids may be parted by commas too."""
        wanted = (ids or "").replace(",", " ").split()
        return [self._page.files(request).get(file_id) for file_id in wanted[:MOST_SONGS]]

    def _told(self, stored: Sequence[StoredFile], refused: Sequence[str], request: "gr.Request") -> str:
        total = clock(sum(song.seconds or 0 for song in stored))
        words = html.escape(self._page.say(request, "songs.count", count=len(stored), time=total))
        problems = "".join(f'<p class="svc-error" role="alert">{html.escape(sentence)}</p>' for sentence in refused)
        return problems + (f"<p>{words}</p>" if stored else "")


def inputs_of(songs: Sequence[StoredFile]) -> tuple[dict[str, Path], dict[Path, str]]:
    """The songs as `inputs` and `labels` of Page.submit."""
    inputs = {f"song-{index:03d}": song.path for index, song in enumerate(songs)}
    return inputs, {song.path: song.label for song in songs}
