"""Which kind of audio file is this? Decided by its first bytes, never by the file's name.

A file is only ever handed to the one demuxer its content names: playlist formats, which could
make a decoder open other files or addresses, are thereby never considered.
"""

from collections.abc import Callable
from typing import BinaryIO

_HEAD_BYTES = 4096
_SCAN_BYTES = 65_536

# (bytes at the start of the file, container name, libavformat demuxer)
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"fLaC", "flac", "flac"),
    (b"OggS", "ogg", "ogg"),
    (b"RF64", "wav", "wav"),
    (b"RIFX", "wav", "wav"),
    (b"\x1aE\xdf\xa3", "mkv", "matroska"),
    (b"0&\xb2u\x8ef\xcf\x11", "wma", "asf"),
    (b"wvpk", "wavpack", "wv"),
    (b"caff", "caf", "caf"),
    (b".snd", "au", "au"),
)

_MP3_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def sniff(file: BinaryIO) -> tuple[str, str] | None:
    """The (container name, libavformat demuxer name) of an open file, or None when it is no known audio or video.

    Leaves the file at its start.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    start = _id3_length(head)
    if start:
        file.seek(start)
        head = file.read(_HEAD_BYTES)
    kind = _by_magic(head) or _by_frames(file, start)
    if kind is None and start:
        kind = ("mp3", "mp3")
    file.seek(0)
    return kind


def _id3_length(head: bytes) -> int:
    """Bytes of an ID3v2 tag at the start (ID3v2.4 section 3.1: 28-bit size, 7 bits per byte), 0 for none."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _by_magic(head: bytes) -> tuple[str, str] | None:
    for magic, container, demuxer in _MAGIC:
        if head.startswith(magic):
            return container, demuxer
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav", "wav"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi", "avi"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff", "aiff"
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return "w64", "w64"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mp4", "mov"
    return None


def _by_frames(file: BinaryIO, start: int) -> tuple[str, str] | None:
    file.seek(start)
    data = file.read(_SCAN_BYTES)
    for kind, measure in (("mp3", mp3_frame_bytes), ("aac", _adts_frame_bytes)):
        if _first_frame(data, measure) is not None:
            return kind, kind
    return None


def _first_frame(data: bytes, measure: Callable[[bytes], int]) -> int | None:
    """Offset of the first frame. mp3 and raw AAC have no magic, so a second header must follow where the first says."""
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 8:
        length = measure(data[at : at + 8])
        second = data[at + length : at + length + 8] if length else b""
        if len(second) == 8 and measure(second) and second[1] == data[at + 1]:
            return at
        at = data.find(b"\xff", at + 1)
    return None


def mp3_states_length(file: BinaryIO) -> bool:
    """Whether the first frame of an mp3 file is a Xing, Info or VBRI header, which counts the frames.

    Without one every duration is a guess from the file's size. Leaves the file at its start.
    """
    file.seek(0)
    file.seek(_id3_length(file.read(10)))
    data = file.read(_SCAN_BYTES)
    file.seek(0)
    at = _first_frame(data, mp3_frame_bytes)
    if at is None:
        return False
    frame = data[at : at + mp3_frame_bytes(data[at : at + 8])]
    for tag in (b"Xing", b"Info"):
        found = frame.find(tag, 0, 64)
        if found >= 0:
            return bool(frame[found + 7] & 1)
    return b"VBRI" in frame[:64]


def mp3_frame_bytes(head: bytes) -> int:
    """Bytes of the MPEG audio frame that starts with these 4 or more bytes, 0 if none does.

    ISO 11172-3 section 2.4.1.3 and 13818-3.
    """
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    kbits = _MP3_KBITS[1 if version == 3 else 2, layer][bitrate - 1]
    hertz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12_000 * kbits // hertz + padding) * 4
    samples_in_bytes = 72_000 if layer == 3 and version != 3 else 144_000
    return samples_in_bytes * kbits // hertz + padding


def _adts_frame_bytes(head: bytes) -> int:
    """Bytes of the ADTS frame that starts with these bytes (ISO 13818-7 section 6.2), 0 if none does."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0
