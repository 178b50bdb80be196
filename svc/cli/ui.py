"""`svc ui`: the web page."""

from svc.errors import SvcError


def ui() -> int:
    """Open the web page (not in this version)."""
    raise SvcError("This version has no web page yet: use  svc train  and  svc convert  on the command line.")
