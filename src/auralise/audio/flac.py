"""The length of a FLAC file, from its header and from its last frame (RFC 9639)."""

from __future__ import annotations

from functools import cache
from typing import BinaryIO

from auralise.audio.container import Container, read_at


def inspect(stream: BinaryIO, size: int, base: int) -> Container:
    """Hold the number of samples in the header against the last frame's position.

    Parameters
    ----------
    stream : binary file
        Seekable; only its beginning and the last frame are read.
    size : int
        Bytes in the file.
    base : int
        Where ``fLaC`` stands: tags may come before.
    """
    header = read_at(stream, base, 26)
    if len(header) < 26:
        return Container("FLAC", damage="it ends within its header", skip=base)
    block = int.from_bytes(header[10:12], "big")
    packed = int.from_bytes(header[18:26], "big")
    promised = packed & (2**36 - 1)
    channels, bits = (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    # No frame is longer than its samples stored as they are, and a header.
    longest = block * channels * (bits + 1) // 8 + 64
    start = max(base + 42, size - longest - 128)
    tail = read_at(stream, start, size - start)
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    there = _end_of_last_frame(tail, block)
    whole = header[:18] + (packed - promised + (there or 0)).to_bytes(8, "big")
    if there is None:
        return Container("FLAC", damage="it does not end with a whole frame", skip=base)
    if promised == 0:
        note = "the header does not say how long the sound is; its last frame does"
        return Container("FLAC", (note,), head=whole, skip=base + 26)
    if promised != there:
        damage = f"its header promises {promised} samples and its last frame ends at {there}"
        return Container("FLAC", damage=damage, head=whole, skip=base + 26)
    return Container("FLAC", skip=base)


def _end_of_last_frame(tail: bytes, block: int) -> int | None:
    """Return the number of samples up to the end of a frame that ends where ``tail`` ends."""
    position = tail.rfind(b"\xff")
    while position >= 0:
        end = _end_of_frame(tail[position : position + 16], block)
        if end is not None and _crc(tail[position:], 16, 0x8005) == 0:
            return end
        position = tail.rfind(b"\xff", 0, position)
    return None


def _end_of_frame(header: bytes, block: int) -> int | None:
    """Return where a frame ends, in samples, if these bytes begin with the header of one."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 15
    number, position = _coded_number(header[4:])
    extra = {6: 1, 7: 2}.get(size_code, 0)
    check = 4 + position + extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if number is None or len(header) <= check or _crc(header[: check + 1], 8, 0x07) != 0:
        return None
    stored = int.from_bytes(header[4 + position : 4 + position + extra], "big") + 1
    samples = stored if extra else _block_size(size_code)
    variable = header[1] & 1
    return (number if variable else number * block) + samples


def _block_size(code: int) -> int:
    """Return the samples of a frame whose header has one of the fixed codes."""
    if code == 1:
        return 192
    return 576 << (code - 2) if code < 6 else 256 << (code - 8)


def _coded_number(data: bytes) -> tuple[int | None, int]:
    """Read a number coded like a UTF-8 character; return it and its length in bytes."""
    first = data[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    rest = data[1:length]
    if not 2 <= length <= 7 or len(rest) < length - 1 or any(b >> 6 != 2 for b in rest):
        return None, 1
    number = first & (0x7F >> length)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, length


def _crc(data: bytes, width: int, polynomial: int) -> int:
    """Return the cyclic redundancy check, first bit first; 0 over data that its check follows."""
    table = _crc_table(width, polynomial)
    check, mask, shift = 0, (1 << width) - 1, width - 8
    for byte in data:
        check = (check << 8 & mask) ^ table[(check >> shift) ^ byte]
    return check


@cache
def _crc_table(width: int, polynomial: int) -> tuple[int, ...]:
    """Return what each value of the check's highest byte does to the rest."""
    table = []
    for value in range(256):
        remainder = value << (width - 8)
        for _ in range(8):
            carry = remainder >> (width - 1)
            remainder = (remainder << 1 & (1 << width) - 1) ^ (polynomial if carry else 0)
        table.append(remainder)
    return tuple(table)
