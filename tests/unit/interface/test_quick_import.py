"""Gradio without what it does for editors; it works all the same."""

import gc
import subprocess
import sys
import textwrap

import pytest

from svc.interface.quick_import import no_collections

PROGRAM = """
    import ast, sys
    parsed = []
    known = ast.parse
    ast.parse = lambda *given, **named: parsed.append(1) or known(*given, **named)
    from svc.interface.quick_import import LEFT_OUT, import_gradio, no_application
    finders = list(sys.meta_path)
    gradio = import_gradio()
    assert gradio is sys.modules["gradio"] and sys.meta_path == finders
    print("parsed", len(parsed))
    for module, name in LEFT_OUT.items():
        holder = sys.modules[module]
        *path, last = name.split(".")
        for each in path:
            holder = getattr(holder, each)
        print("left out", getattr(holder, last).__name__)
    from gradio.routes import App
    make = vars(App)["create_app"]
    with no_application(), gradio.Blocks() as blocks:
        text = gradio.Textbox()
        text.change(lambda value: value, text, text)
    print("kept", gradio.Slider(2, 7, label="x").get_config()["maximum"], "lines" in text.get_config())
    print("application", blocks.app, vars(App)["create_app"] is make, "gradio.cli" in sys.modules)
    from gradio.cli import deploy
    print("deploy", callable(deploy))
    print("events", len(blocks.fns), blocks.get_config_file()["dependencies"][0]["targets"][0][1])
"""


def test_sources_are_not_parsed_and_events_work() -> None:
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    # Gradio parses the sources of more than sixty components otherwise.
    assert int(said[0].removeprefix("parsed ")) < 10
    assert said[1:3] == ["left out <lambda>"] * 2
    assert said[3] == "kept 7 True"
    assert said[4:6] == ["application None True False", "deploy True"]
    assert said[6] == "events 1 change"


def test_collections_are_on_again_afterwards() -> None:
    frozen = gc.get_freeze_count()
    try:
        with no_collections():
            assert not gc.isenabled()
            kept = [[] for _ in range(100)]
        assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()
