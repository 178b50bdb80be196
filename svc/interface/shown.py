"""What a person sees of an error: one sentence; the details go to the log."""

import functools
import html
import inspect
import logging
import secrets
from collections.abc import Callable
from typing import Any

from svc.errors import SvcError
from svc.interface.texts import say
from svc.interface.users import language_of

log = logging.getLogger("svc.interface")


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler of the page: SvcError becomes its sentence, anything else "something went wrong" with a number.

    Works for functions and generators; the signature, by which gradio finds a gr.Request parameter, is kept.
    """
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapped_generator(*args: Any, **kwargs: Any) -> Any:
            try:
                yield from function(*args, **kwargs)
            except Exception as error:
                raise sentence(error, _language(args, kwargs)) from None

        return wrapped_generator

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise sentence(error, _language(args, kwargs)) from None

    return wrapped


def sentence(error: Exception, language: str) -> Exception:
    """The gradio error for `error`, escaped, as gradio renders HTML in it.

    What is not a SvcError is logged with its traceback under the number that the sentence names.
    """
    import gradio as gr

    if isinstance(error, gr.Error):
        return error
    title = say(language, "errors.title")
    if isinstance(error, SvcError):
        return gr.Error(html.escape(str(error), quote=False), print_exception=False, title=title)
    number = secrets.token_hex(4)
    log.error("error %s", number, exc_info=error)
    return gr.Error(say(language, "errors.unexpected", id=number), print_exception=False, title=title)


def _language(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    import gradio as gr

    for value in (*args, *kwargs.values()):
        if isinstance(value, gr.Request):
            return language_of(value)
    return "en"
