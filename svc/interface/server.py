"""Starting and stopping the web page's server."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from svc.errors import ConfigError, MissingExtraError, SvcError
from svc.interface.settings import ServerSettings, check

CLEAN_SECONDS = 3600.0
REQUESTS_AT_ONCE = 8
"""Of each kind of the page's own questions; long work is a job and waits in its own queue."""


def serve(settings: ServerSettings, say: Callable[[str], None] = lambda sentence: None) -> None:
    """Run the page until Ctrl-C or SIGTERM.

    `say` receives sentences for the operator. Raises ConfigError for settings that would open the page to strangers,
    for a port or folder in use; MissingExtraError without gradio.
    """
    check(settings)
    settings = settings.model_copy(update={"data": Path(settings.data).resolve()})
    _make_folders(settings)
    # Read when components are made: uploads and results are served from here and from nowhere else.
    os.environ["GRADIO_TEMP_DIR"] = str(settings.cache_folder)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Told to queue() it would make the whole application once more.
    os.environ["GRADIO_DEFAULT_CONCURRENCY_LIMIT"] = str(REQUESTS_AT_ONCE)
    from svc.interface.opening import Opening
    from svc.interface.quick_import import import_gradio, no_application, no_collections

    # Gradio takes seconds to be imported: meanwhile its address answers with a page that becomes the real one.
    try:
        opening = Opening(settings.host, settings.port, settings.language)
    except OSError as error:
        raise _no_port(settings) from error
    with opening, no_collections():
        try:
            import_gradio()
        except ImportError as error:
            raise MissingExtraError("gradio", "webui", "The web page") from error
        from svc.interface.app import build, launch_arguments
        from svc.interface.jobs.queue import JobQueue
        from svc.interface.page import Page

        queue = JobQueue(
            settings.jobs_folder,
            at_once=settings.jobs_at_once,
            memory_limit_bytes=settings.memory_limit_bytes,
            stop_at_exit=settings.stop_jobs_at_exit,
        )
        page = Page(settings, queue)
        with no_application():
            blocks = build(page)
    stop = _stop_on_signals()
    with queue:
        try:
            blocks.launch(
                server_name=settings.host,
                server_port=settings.port,
                prevent_thread_lock=True,
                # Or gradio asks itself for the page within 3 s and gives up, which a busy machine does not manage.
                _frontend=False,
                **launch_arguments(page),
            )
        except OSError as error:
            raise _no_port(settings) from error
        shown_host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        say(f"The page is open at http://{shown_host}:{settings.port}{settings.root_path}/ . Ctrl-C ends it.")
        if settings.share and blocks.share_url:
            say(f"Public address: {blocks.share_url}")
        page.clean_cache()
        while not stop.wait(CLEAN_SECONDS):
            page.clean_cache()
        blocks.close(verbose=False)
        if queue.running and not settings.stop_jobs_at_exit:
            say(f"{queue.running} job(s) go on in the background: start the page again to see them.")


def _no_port(settings: ServerSettings) -> ConfigError:
    return ConfigError(f"The page cannot listen on {settings.host}:{settings.port}: choose another --port or --host.")


def _make_folders(settings: ServerSettings) -> None:
    try:
        for folder in (settings.jobs_folder, settings.cache_folder, settings.data / "users"):
            folder.mkdir(parents=True, exist_ok=True)
        settings.data.chmod(0o700)
    except OSError as error:
        raise SvcError(
            f"The folder {settings.data} cannot be used ({error.strerror}): choose another one with --data."
        ) from error


def _stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    import signal

    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
    return stop
