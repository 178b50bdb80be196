"""`svc ui`: the web page."""

from typing import Annotated

from cyclopts import Parameter

from svc.cli.console import say
from svc.interface.settings import ServerSettings


def ui(*, settings: Annotated[ServerSettings | None, Parameter(name="*")] = None) -> int:
    """Open the web page: train a singer and convert songs in a browser.

    Only this machine can reach it, unless --host says otherwise; then --auth USER:PASSWORD is needed.
    """
    from svc.interface.server import serve

    serve(settings or ServerSettings(), say)
    return 0
