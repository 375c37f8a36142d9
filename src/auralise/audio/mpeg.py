"""The frames of an MPEG audio file (MP3), counted without decoding them (ISO 11172-3, 13818-3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from auralise.audio.container import Container, read_at

# In kbit/s, by the index in the header; rows: MPEG-1 layers I-III, MPEG-2 layer I, II and III.
_BITRATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
_RATE_DIVISOR = {3: 1, 2: 2, 0: 4}  # MPEG-1, MPEG-2, MPEG-2.5, by the version bits

_SEARCHED = 65536
"""Bytes before the first frame that are searched for it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's header says: its length in bytes and what all frames of a file share."""

    length: int
    kind: tuple[int, int, int]  # version bits, layer, sample rate
    mono: bool


@dataclass(frozen=True, slots=True)
class Count:
    """The frames of a file: how many, where they end, and what lies between them."""

    frames: int
    end: int
    stray: int
    cut: bool


def id3_length(head: bytes) -> int:
    """Return how many bytes of ID3v2 tag begin with these ten; 0 if none does."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte & 0x7F
    return 10 + length + (10 if head[5] & 0x10 else 0)


def parse_frame(data: bytes, position: int) -> Frame | None:
    """Read the four bytes of a frame's header; None if they are not one."""
    return _parse(data[position : position + 4])


@lru_cache(maxsize=1024)  # a file's frames differ in a few bits at most
def _parse(head: bytes) -> Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate_index, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or rate_index == 3 or bitrate_index in (0, 15):
        return None
    bitrate = 1000 * _BITRATES[1 if version == 3 else 2, layer][bitrate_index]
    rate = _RATES[rate_index] // _RATE_DIVISOR[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        length = (12 * bitrate // rate + padding) * 4
    else:
        halved = layer == 3 and version != 3
        length = (72 if halved else 144) * bitrate // rate + padding
    return Frame(length, (version, layer, rate), mono=head[3] >> 6 == 3)


def inspect(stream: BinaryIO, size: int, base: int) -> Container | None:
    """Count the frames of an MP3 file and hold them against what its first frame says.

    Parameters
    ----------
    stream : binary file
        Seekable; read as a whole, since every frame says only where the next one begins.
    size : int
        Bytes in the file, at least 1.
    base : int
        Bytes of tags before the sound.

    Returns
    -------
    Container or None
        None if this is not MPEG audio.
    """
    data = read_at(stream, 0, size)
    end = _sound_end(data, size)
    # libsndfile, too, looks further than the first byte only behind a tag.
    limit = min(end, base + (_SEARCHED if base else 1))
    first = _find_frame(data, base, limit, end, None)
    frame = None if first is None else parse_frame(data, first)
    if first is None or frame is None:
        return _cut_tag(size, base)
    return _compare(data, first, frame, end)


def _compare(data: bytes, first: int, frame: Frame, end: int) -> Container:
    """Hold the number of frames from ``first`` to ``end`` against the number in the first."""
    promised, promised_bytes = _promise(data, first, frame)
    informative = promised is not None
    start = first + frame.length if informative else first
    count = _count(data, start, end, frame)
    notes = (f"{count.stray} bytes between frames were skipped",) if count.stray else ()
    damage = "its last frame is cut off" if count.cut else None
    if promised is None:
        # Without a count, libsndfile takes the length that the first frames' bitrate suggests,
        # and reads no further: most of a file of varying bitrate would be lost. With one, it also
        # drops the 529 samples by which the decoder itself comes late.
        head = _information_frame(data[first : first + 4], frame, count.frames)
        return Container("MP3", notes, damage, head, first)
    # Some encoders count the frame that holds the count.
    missing = promised - count.frames
    if missing > 1 or (
        missing == 1 and promised_bytes is not None and promised_bytes > end - first
    ):
        damage = f"its first frame promises {promised} frames and {count.frames} are there"
    elif missing < -1:
        damage = f"its first frame promises {promised} frames and {count.frames} follow"
        head = _information_frame(data[first : first + 4], frame, count.frames)
        return Container("MP3", notes, damage, head, start)
    return Container("MP3", notes, damage, skip=first)


def _cut_tag(size: int, base: int) -> Container | None:
    """Return what to say of a file in which no frame was found."""
    if base > size:
        return Container("MP3", damage="it ends within its tags, before the sound begins")
    return None


def _sound_end(data: bytes, size: int) -> int:
    """Return where the frames end: before an ID3v1 or APE tag at the end of the file."""
    if data[max(0, size - 128) : size][:3] == b"TAG":
        size -= 128
    if data[max(0, size - 32) : size][:8] == b"APETAGEX":
        footer = data[size - 32 : size]
        length, flags = struct.unpack("<I4xI", footer[12:24])
        size -= length + (32 if flags & 0x80000000 else 0)
    return max(0, size)


def _find_frame(
    data: bytes, position: int, limit: int, end: int, kind: tuple[int, int, int] | None
) -> int | None:
    """Return the first position below ``limit`` with a frame that another, or the end, follows."""
    while 0 <= position < limit:
        frame = parse_frame(data, position)
        if frame is not None and kind in (None, frame.kind):
            following = parse_frame(data, position + frame.length)
            matches = following is not None and following.kind == frame.kind
            if matches or position + frame.length >= end:
                return position
        position = data.find(b"\xff", position + 1, limit)
    return None


def _count(data: bytes, start: int, end: int, like: Frame) -> Count:
    """Count the frames from ``start`` to ``end`` that are of one kind with ``like``."""
    position, frames, stray = start, 0, 0
    while position < end:
        frame = _parse(data[position : position + 4])
        if frame is None or frame.kind != like.kind:
            found = _find_frame(data, position + 1, end, end, like.kind)
            stray += (end if found is None else found) - position
            if found is None:
                cut = data[position] == 0xFF and end - position < 4
                return Count(frames, position, 0 if cut else stray, cut)
            position = found
            continue
        if position + frame.length > end:
            return Count(frames, position, stray, cut=True)
        frames += 1
        position += frame.length
    return Count(frames, position, stray, cut=False)


def _side_information(frame: Frame) -> int:
    """Return the bytes between the header of a layer III frame and its Xing mark."""
    if frame.kind[0] == 3:
        return 17 if frame.mono else 32
    return 9 if frame.mono else 17


def _promise(data: bytes, first: int, frame: Frame) -> tuple[int | None, int | None]:
    """Return the numbers of frames and of bytes that a first frame promises, or None."""
    body = data[first : first + frame.length]
    mark = body[4 + _side_information(frame) :]
    if mark[:4] in (b"Xing", b"Info") and len(mark) >= 16:
        flags, a, b = struct.unpack(">III", mark[4:16])
        frames = a if flags & 1 else None
        return frames, (b if flags & 1 else a) if flags & 2 else None
    if body[36:40] == b"VBRI" and len(body) >= 54:
        total, frames = struct.unpack(">II", body[46:54])
        return frames, total
    return None, None


def _information_frame(header: bytes, frame: Frame, frames: int) -> bytes:
    """Make a silent first frame that says how many frames follow it."""
    # No checksum, no padding, and the eighth bitrate, whose frames have room for the count.
    made = bytes((header[0], header[1] | 1, 0x80 | header[2] & 0x0C, header[3]))
    parsed = parse_frame(made, 0)
    length = frame.length if parsed is None else parsed.length
    mark = b"Info" + struct.pack(">II", 1, frames)
    return (made + bytes(_side_information(frame)) + mark).ljust(length, b"\0")
