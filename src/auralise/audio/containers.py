"""What a sound file promises, held against what it has: WAV, AIFF, W64, Ogg, FLAC, MP3.

Decoders accept half a file, or a header that lies about its length, without a word. The functions
here read the few bytes that say how long a file ought to be, and decode nothing.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from auralise.audio import flac, mpeg
from auralise.audio.container import Container, read_at

FORMATS = "WAV (with RF64 and W64), AIFF, FLAC, OGG Vorbis, OGG Opus, MP3"
"""The formats that can be read, for messages."""

_STRANGERS = (
    (4, b"ftyp", "MPEG-4 audio (.m4a, .mp4)"),
    (0, b"MThd", "MIDI, which holds notes and no sound"),
    (0, b"\x30\x26\xb2\x75", "Windows Media (.wma)"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"caff", "Core Audio (.caf)"),
    (0, b".snd", "Sun audio (.au)"),
    (0, b"wvPk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio (.ape)"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)

# Lengths that writers leave in the header when they cannot go back to fill it in: ffmpeg writes
# the first, SoX the second (rounded down to whole samples), others zero.
_UNKNOWN_LENGTHS = (range(0xFFFFFFFF, 2**32), range(0x7FFFEF00, 0x7FFFF001), range(1))

_APPENDED_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")


def inspect(stream: BinaryIO, size: int) -> Container | None:
    """Recognise a sound file by its first bytes and check its length.

    Parameters
    ----------
    stream : binary file
        Seekable; its position is changed.
    size : int
        Bytes in the file.

    Returns
    -------
    Container or None
        None if this is not one of `FORMATS`.
    """
    base = mpeg.id3_length(read_at(stream, 0, 10))
    magic = read_at(stream, base, 12)
    if magic[:4] in (b"RIFF", b"RIFX", b"RF64") and magic[8:12] == b"WAVE":
        return _inspect_riff(stream, size, base)
    if magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
        return _inspect_riff(stream, size, base)
    if magic == b"riff.\x91\xcf\x11\xa5\xd6(\xdb":
        return _inspect_w64(stream, size)
    if magic[:4] == b"OggS":
        return _inspect_ogg(stream, size, base)
    if magic[:4] == b"fLaC":
        return flac.inspect(stream, size, base)
    return mpeg.inspect(stream, size, base)


def guess(head: bytes) -> str:
    """Say in words what a file that is not one of `FORMATS` looks like."""
    for offset, magic, name in _STRANGERS:
        if head[offset : offset + len(magic)] == magic:
            return f"it looks like {name}"
    text = head.decode("utf-8", "replace").rstrip("\ufffd")  # the last character may be cut
    readable = all(letter.isprintable() or letter.isspace() for letter in text)
    if text and readable and "\ufffd" not in text:
        return "it looks like text"
    return f"it begins with the bytes {head[:4].hex(' ')}"


def _inspect_riff(stream: BinaryIO, size: int, base: int) -> Container:
    """Check a file made of chunks with 32-bit lengths: RIFF, RIFX, RF64, FORM."""
    form = read_at(stream, base, 4)
    order = "<" if form in (b"RIFF", b"RF64") else ">"
    form_length = struct.unpack(order + "I", read_at(stream, base + 4, 4))[0]
    position, long_length = base + 12, None
    while position + 8 <= size:
        name, length = struct.unpack(order + "4sI", read_at(stream, position, 8))
        if name == b"ds64":
            long_length = struct.unpack("<Q", read_at(stream, position + 16, 8))[0]
        if name in (b"data", b"SSND"):
            if form == b"RF64" and long_length is not None and length == 0xFFFFFFFF:
                length = long_length
            return _inspect_data(stream, size, base, position, length, order, form_length)
        position += 8 + length + length % 2
    return Container("WAV", damage="it ends before its samples begin (no data chunk)", skip=base)


def _inspect_data(
    stream: BinaryIO, size: int, base: int, chunk: int, length: int, order: str, form_length: int
) -> Container:
    """Check the chunk at byte ``chunk``, which says that ``length`` bytes of samples follow."""
    name = "AIFF" if read_at(stream, chunk, 4) == b"SSND" else "WAV"
    first = chunk + 8
    there = size - first
    # An empty data chunk in a file whose length is filled in is what it says: no samples.
    streamed = any(length in lengths for lengths in _UNKNOWN_LENGTHS) and there > 0
    if streamed and (length > 0 or form_length in (0, 0xFFFFFFFF)) and there < 0xFFFFFFFF:
        header = read_at(stream, base, chunk + 4 - base) + struct.pack(order + "I", there)
        note = "the header does not say how long the sound is; it was read to the end of the file"
        return Container(name, (note,), head=header, skip=first)
    if length > there:
        shortfall = f"its header promises {length} bytes of samples and {there} are there"
        return Container(name, damage=shortfall, skip=base)
    damage, notes = _inspect_rest(stream, size, first + length, order)
    return Container(name, notes, damage=damage, skip=base)


def _inspect_rest(
    stream: BinaryIO, size: int, position: int, order: str
) -> tuple[str | None, tuple[str, ...]]:
    """Check that what follows the samples are chunks; return damage and notes."""
    # Samples are padded to an even number of bytes, but not by every writer.
    if position % 2 and not _is_name(read_at(stream, position, 4)):
        position += 1
    while position + 8 <= size:
        name, length = struct.unpack(order + "4sI", read_at(stream, position, 8))
        rest = size - position
        if any(read_at(stream, position, len(tag)) == tag for tag in _APPENDED_TAGS):
            return None, (f"{rest} bytes of tags after the sound were ignored",)
        if not _is_name(name) or length > rest - 8:
            damage = (
                f"its header is wrong about its length: {rest} bytes that belong to nothing "
                "follow the samples it promises"
            )
            return damage, ()
        position += 8 + length + length % 2
    return None, ()


def _is_name(name: bytes) -> bool:
    """Whether four bytes may be the name of a chunk."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _inspect_w64(stream: BinaryIO, size: int) -> Container:
    """Check Sony's 64-bit form of WAV: names of 16 bytes, lengths that include the header."""
    position = 40
    while position + 24 <= size:
        name, length = struct.unpack("<4s12xQ", read_at(stream, position, 24))
        if name == b"data":
            promised, there = length - 24, size - position - 24
            if promised > there:
                damage = f"its header promises {promised} bytes of samples and {there} are there"
                return Container("W64", damage=damage)
            return Container("W64")
        position += max(24, length + -length % 8)
    return Container("W64", damage="it ends before its samples begin (no data chunk)")


def _inspect_ogg(stream: BinaryIO, size: int, base: int) -> Container:
    """Walk the pages of an Ogg file: no gaps between them, and an end to every stream."""
    position, running, links = base, set[bytes](), 0
    while position < size:
        header = read_at(stream, position, 27)
        if len(header) == 27 and header[:4] != b"OggS":
            damage = f"a page should begin at byte {position} and does not"
            return Container("OGG", damage=damage, skip=base)
        table = read_at(stream, position + 27, header[26]) if len(header) == 27 else b""
        end = position + 27 + len(table) + sum(table)
        if len(header) < 27 or len(table) < header[26] or end > size:
            return Container("OGG", damage="its last page is cut off", skip=base)
        flags, serial = header[5], header[14:18]
        if flags & 2:
            links += not running
            running.add(serial)
        if flags & 4:
            running.discard(serial)
        position = end
    return Container("OGG", damage=_ogg_damage(bool(running), links), skip=base)


def _ogg_damage(running: bool, links: int) -> str | None:
    """Say what is wrong with a file whose pages are whole."""
    if running:
        return "its last page is missing (no page is marked as the end of the stream)"
    if links > 1:  # libsndfile stops after the first without a word
        return f"it holds {links} sounds one after the other and only the first can be read"
    return None
