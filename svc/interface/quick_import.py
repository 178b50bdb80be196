"""Importing gradio, and building a page with it, in half the time.

At every import gradio parses the source of each of its components and compares a type stub beside it, and writes the
help texts of their events, for the editors of people who write components. That is more than half of the import's time
and of no use to a page, so it is left out. Each component's constructor is taken apart several times when a page is
built; it is done once. The web application with its hundred routes is made three times on the way; it is made at
launch. Each of its clients reads all certificates; they are read once. Its command line is imported for one function
that publishes a page on a hub; it is not there until somebody imports it.
"""

import contextlib
import functools
import gc
import importlib.abc
import importlib.machinery
import inspect
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

# Module -> function, by its path of names in there, that only helps editors.
LEFT_OUT = {"gradio.component_meta": "create_or_modify_pyi", "gradio.events": "EventListener.set_doc"}


class _Without(importlib.abc.Loader):
    """The module's own loader, with that function taken out after the module has run."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        *holders, name = LEFT_OUT[module.__name__].split(".")
        holder: Any = module
        for each in holders:
            holder = getattr(holder, each, None)
        # Another version may do without: then there is nothing to take out.
        if hasattr(holder, name):
            setattr(holder, name, lambda *_, **__: None)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in LEFT_OUT:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Without(spec.loader)
        return spec


def import_gradio() -> ModuleType:
    """The module gradio. ImportError where it is not installed."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        with _without_command_line(), _certificates_once():
            import gradio
    finally:
        sys.meta_path.remove(finder)
    from gradio.blocks import Block

    _keep_signatures(Block)
    return gradio


@contextlib.contextmanager
def no_application() -> Iterator[None]:
    """Blocks that are built meanwhile have no web application before they are launched."""
    from gradio.routes import App

    with _replaced(App, "create_app", staticmethod(lambda *_, **__: None)):
        yield


@contextlib.contextmanager
def _without_command_line() -> Iterator[None]:
    """`gradio.cli` is an empty module meanwhile."""
    name = "gradio.cli"
    empty: Any = ModuleType(name)
    empty.deploy = None
    if sys.modules.setdefault(name, empty) is not empty:
        yield
        return
    try:
        yield
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def _certificates_once() -> Iterator[None]:
    """The clients that are made meanwhile share the certificates they trust."""
    import httpx

    transports: Any = getattr(getattr(httpx, "_transports", None), "default", None)
    make = getattr(transports, "create_ssl_context", None)
    if make is None:  # another version
        yield
        return
    with _replaced(transports, "create_ssl_context", functools.lru_cache(make)):
        yield


@contextlib.contextmanager
def _replaced(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = vars(holder)[name]
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


def _keep_signatures(kind: Any) -> None:
    """Let `inspect` find the signatures of the constructors of a class and all below it instead of working them out."""
    constructor: Any = kind.__dict__.get("__init__")
    if constructor is not None:
        signature = inspect.signature(constructor)
        for function in (constructor, getattr(constructor, "__wrapped__", constructor)):
            function.__signature__ = signature
    for below in kind.__subclasses__():
        _keep_signatures(below)


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """No search for cyclic garbage meanwhile, and what is there afterwards is never searched again.

    For making many objects that stay, modules and components: they are searched over and over while they grow.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
