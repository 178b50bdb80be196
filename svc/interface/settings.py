"""Settings of the web page's server, and which of them may not go together."""

import ipaddress
from pathlib import Path

from pydantic import Field

from svc.errors import ConfigError
from svc.paths import interface_dir
from svc.settings import Settings


class ServerSettings(Settings):
    """Everything `svc ui` can be told."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is every network of this machine.")
    port: int = Field(7860, ge=1, le=65_535, description="Port to listen on.")
    auth: tuple[str, ...] = Field((), description="USER:PASSWORD of a person who may log in; may be given many times.")
    no_auth: bool = Field(False, description="Listen on the network without a password: everyone there may use it.")
    root_path: str = Field("", description="Path under which a proxy in front shows the page, such as /svc.")
    share: bool = Field(False, description="Also open a public gradio.live address; needs --auth.")
    data: Path = Field(
        default_factory=interface_dir, description="Folder for uploads, jobs and results of the page's users."
    )
    allow: tuple[Path, ...] = Field((), description="Folders of this machine that every user may read songs from.")
    upload_limit_mb: int = Field(2_000, ge=1, le=100_000, description="Largest upload in MB.")
    memory_limit_mb: int = Field(
        0, ge=0, description="Memory a conversion may take in MB; 0 is half of what the machine has."
    )
    jobs_at_once: int = Field(1, ge=1, le=64, description="Jobs that run at the same time; the others wait.")
    stop_jobs_at_exit: bool = Field(
        False, description="End running jobs with the server, instead of letting them go on in the background."
    )
    language: str = Field("auto", description="Language of the page, such as en or zh; auto is the browser's.")
    device: str = Field("auto", description="Where jobs compute: auto, cpu, cuda or mps.")
    open_browser: bool = Field(False, description="Open the page in this machine's browser.")

    @property
    def users(self) -> list[tuple[str, str]]:
        """(name, password) of those who may log in."""
        return [(user, password) for user, _, password in (entry.partition(":") for entry in self.auth)]

    @property
    def jobs_folder(self) -> Path:
        """Where the jobs of all users lie."""
        return self.data / "jobs"

    @property
    def cache_folder(self) -> Path:
        """Where uploads arrive and what is being served lies; cleaned from time to time."""
        return self.data / "cache"

    def home(self, owner: str) -> Path:
        """The folder of one user; `owner` is an id made by svc.interface.users, never a name."""
        return self.data / "users" / owner

    @property
    def memory_limit_bytes(self) -> int:
        """What one conversion process may take."""
        import psutil

        return self.memory_limit_mb * 1_000_000 if self.memory_limit_mb else psutil.virtual_memory().total // 2


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(settings: ServerSettings) -> None:
    """ConfigError for settings that would open the page to strangers, or that cannot be meant."""
    from svc.interface.texts import languages

    for user, password in settings.users:
        if not user or not password:
            raise ConfigError("--auth needs USER:PASSWORD, both not empty: for example --auth anna:a-long-password.")
    if settings.auth and settings.no_auth:
        raise ConfigError("--auth and --no-auth exclude each other: choose one.")
    known = languages()
    if settings.language not in ("auto", *known):
        raise ConfigError(f"There is no language '{settings.language}': use auto, {', '.join(known)}.")
    if settings.root_path and not settings.root_path.startswith("/"):
        raise ConfigError(f"--root-path must begin with a slash, such as /svc (got {settings.root_path}).")
    if settings.auth or settings.no_auth:
        return
    if settings.share:
        raise ConfigError("--share opens the page to the whole internet: give --auth USER:PASSWORD as well.")
    if not is_loopback(settings.host):
        raise ConfigError(
            f"Listening on {settings.host} opens the page to the network: give --auth USER:PASSWORD, "
            "or --no-auth if everyone there may use it."
        )
