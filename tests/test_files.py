"""Sound files: what is read, what is refused and in which words, what is written."""

import errno
import functools
import io
import math
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from auralise.audio import decoding
from auralise.audio.files import clipped_share, encode_wav, read_audio, write_audio
from auralise.audio.waveform import Waveform
from auralise.errors import AudioFileError, InvalidValueError, OutputError, UnknownNameError

LOSSLESS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", "PCM_16")]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
ENDINGS = {"WAV": "wav", "FLAC": "flac", "MP3": "mp3", "OGG": "ogg"}


def music(seconds=1.5, rate=48_000, channels=1):
    """Noise under a swell: busy in every frame, below full scale, and never silent."""
    noise = np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    return 0.1 * noise.clip(-4, 4) * np.linspace(0.5, 1, len(noise))[:, None]


@functools.cache
def whole(format_name, subtype):
    return encoded(format_name, subtype, music())


def encoded(format_name, subtype, samples=None, rate=48_000):
    if samples is None:
        return whole(format_name, subtype)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format_name, subtype=subtype)
    return buffer.getvalue()


def put(folder, data, ending):
    path = folder / f"sound.{ending}"
    path.write_bytes(data)
    return path


def without_first_frame(mp3):
    """Remove the frame that says how many follow."""
    return mp3[mp3.index(mp3[:2], 4) :]


# --- what is read


@pytest.mark.parametrize(("format_name", "subtype"), LOSSLESS + LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_is_read_as_libsndfile_reads_it(tmp_path, format_name, subtype, channels):
    data = encoded(format_name, subtype, music(channels=channels))
    atol = 1e-7 if format_name == "MP3" else 0  # its rounding depends on how much is asked for
    expected, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    result = read_audio(put(tmp_path, data, ENDINGS[format_name]))
    ours = result.waveform.samples.numpy()
    np.testing.assert_allclose(ours, expected.T, rtol=0, atol=atol)
    assert (result.waveform.sample_rate, result.start) == (rate, 0.0)
    assert (result.format, result.notes) == (f"{format_name} {subtype}", ())
    assert result.total_seconds == len(expected) / rate


@pytest.mark.parametrize(
    ("format_name", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_U8", 44_100, 1),
        ("WAV", "PCM_32", 44_100, 1),
        ("WAV", "DOUBLE", 44_100, 1),
        ("WAV", "ULAW", 8000, 1),
        ("WAV", "ALAW", 8000, 1),
        ("WAV", "IMA_ADPCM", 22_050, 1),
        ("WAV", "PCM_24", 4000, 8),
        ("WAV", "PCM_16", 192_000, 2),
        ("WAV", "PCM_U8", 11_025, 1),
        ("WAVEX", "PCM_24", 48_000, 6),
        ("RF64", "PCM_16", 44_100, 2),
        ("W64", "PCM_24", 44_100, 2),
        ("AIFF", "PCM_16", 44_100, 2),
        ("FLAC", "PCM_24", 96_000, 8),
        ("FLAC", "PCM_S8", 8000, 1),
        ("OGG", "VORBIS", 192_000, 8),
        ("OGG", "OPUS", 8000, 1),
        ("MP3", "MPEG_LAYER_III", 8000, 1),
        ("MP3", "MPEG_LAYER_III", 16_000, 2),
        ("MP3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_any_rate_channels_and_sample_format(tmp_path, format_name, subtype, rate, channels):
    samples = music(0.25, rate, channels)[:-1]  # an odd number of them
    path = put(tmp_path, encoded(format_name, subtype, samples, rate), "any")
    result = read_audio(path)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    ours = result.waveform.samples.numpy()
    atol = 1e-7 if format_name == "MP3" else 0
    np.testing.assert_allclose(ours, expected.T, rtol=0, atol=atol)
    assert result.waveform.sample_rate == rate
    assert [note for note in result.notes if not note.startswith("decoder: ")] == []


def test_codes_become_fractions_of_full_scale(tmp_path):
    codes = np.array([-32768, -1, 0, 1, 16384, 32767], np.int16)
    path = put(tmp_path, encoded("WAV", "PCM_16", codes), "wav")
    expected = (torch.from_numpy(codes).double() / 32768).float()
    assert read_audio(path).waveform.samples[0].equal(expected)


@pytest.mark.parametrize(("format_name", "subtype"), LOSSLESS + LOSSY)
@pytest.mark.parametrize("start", [0.0, 1e-4, 0.7, 1.2345, 1.4])
def test_a_stretch_is_what_the_whole_has_there(tmp_path, format_name, subtype, start):
    path = put(tmp_path, encoded(format_name, subtype), ENDINGS[format_name])
    whole = read_audio(path)
    stretch = read_audio(path, start=start, seconds=0.1)
    first = round(start * 48_000)
    assert stretch.waveform.samples.shape == (1, 4800)
    assert stretch.start == first / 48_000
    assert stretch.total_seconds == whole.total_seconds
    # MP3 decodes from a frame before; its overlapping halves are then added in another order.
    torch.testing.assert_close(
        stretch.waveform.samples,
        whole.waveform.samples[:, first : first + 4800],
        rtol=0,
        atol=1e-6 if format_name == "MP3" else 0,
    )


def test_a_stretch_near_the_end_of_a_vorbis_file_is_in_its_place(tmp_path):
    # libsndfile's own jumps miss their place in the last pages.
    time = np.arange(6 * 44_100) / 44_100
    chirp = 0.5 * np.sin(2 * np.pi * (100 + 200 * time) * time)
    path = put(tmp_path, encoded("OGG", "VORBIS", chirp, 44_100), "ogg")
    samples = read_audio(path).waveform.samples
    for start in (100_000, 237_287, 250_718, len(time) - 400):
        stretch = read_audio(path, start=start / 44_100, seconds=400 / 44_100)
        assert stretch.waveform.samples.equal(samples[:, start : start + 400])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count reads")
@pytest.mark.parametrize("subtype", ["WAV", "FLAC"])
def test_a_second_at_the_end_is_read_without_the_rest(tmp_path, subtype):
    path = put(tmp_path, encoded(subtype, "PCM_16", music(30)), ENDINGS[subtype])

    def bytes_read():
        return int(Path("/proc/self/io").read_text().split()[1])

    before = bytes_read()
    result = read_audio(path, start=29.0)
    assert result.waveform.n_samples == 48_000
    assert bytes_read() - before < path.stat().st_size / 10


def test_reaching_past_the_end_gives_what_there_is_and_says_so(tmp_path):
    path = put(tmp_path, encoded("WAV", "PCM_16"), "wav")
    result = read_audio(path, start=1.0, seconds=10)
    assert result.waveform.duration == 0.5
    assert result.notes == ("asked for 10 s from 1 s on; the file ends at 1.5 s",)


def test_odd_names_work_and_stay_on_one_line(tmp_path):
    data = encoded("WAV", "PCM_16")
    for name in (b"\xff\xfe latin.wav", "Dvořák, Píseň.wav".encode(), b"new\nline", b"x.raw"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(data)
        assert read_audio(path).waveform.n_samples == 72_000
        path.write_bytes(data[:1000])
        with pytest.raises(AudioFileError) as caught:
            read_audio(str(path))
        assert "\n" not in str(caught.value)
        str(caught.value).encode()


# --- what is refused, in one line that says why


def half(format_name, subtype):
    data = whole(format_name, subtype)
    return data[: len(data) // 2 - 10]


def patched(data, position, replacement):
    return data[:position] + replacement + data[position + len(replacement) :]


def flac_promising(samples):
    data = encoded("FLAC", "PCM_16")
    packed = int.from_bytes(data[18:26], "big") >> 36 << 36 | samples
    return patched(data, 18, packed.to_bytes(8, "big"))


def xing_promising(frames):
    data = encoded("MP3", "MPEG_LAYER_III")
    return patched(data, data.index(b"Xing") + 8, struct.pack(">I", frames))


WAV = encoded("WAV", "PCM_16")
OGG = encoded("OGG", "VORBIS")
LAST_PAGE = OGG.rindex(b"OggS")

BAD = {
    "text renamed": (b"These are the lyrics, not the song.\n", "wav", "it looks like text"),
    "text with accents": ("Dvořák".encode() * 20, "wav", "it looks like text"),
    "half a WAV": (
        half("WAV", "PCM_16"),
        "wav",
        "its header promises 144000 bytes of samples and 71968 are there",
    ),
    "WAV without its last byte": (WAV[:-1], "wav", "144000 bytes of samples and 143999"),
    "WAV cut in the header": (WAV[:30], "wav", "it ends before its samples begin"),
    "half an RF64": (half("RF64", "PCM_16"), "wav", "bytes of samples and"),
    "half a W64": (half("W64", "PCM_16"), "w64", "bytes of samples and"),
    "half an AIFF": (half("AIFF", "PCM_16"), "aiff", "bytes of samples and"),
    "WAV header promises too much": (
        patched(WAV, 40, struct.pack("<I", 2**31 - 1)),
        "wav",
        "promises 2147483647 bytes of samples and 144000 are there",
    ),
    "WAV header promises too little": (
        patched(WAV, 40, struct.pack("<I", 1000)),
        "wav",
        "143000 bytes that belong to nothing follow",
    ),
    "WAV header promises nothing": (
        patched(WAV, 40, struct.pack("<I", 0)),
        "wav",
        "144000 bytes that belong to nothing follow",
    ),
    "half a FLAC": (half("FLAC", "PCM_16"), "flac", "it does not end with a whole frame"),
    "FLAC header promises too much": (
        flac_promising(10**9),
        "flac",
        "promises 1000000000 samples and its last frame ends at 72000",
    ),
    "FLAC header promises too little": (
        flac_promising(1000),
        "flac",
        "promises 1000 samples and its last frame ends at 72000",
    ),
    "FLAC cut in the header": (encoded("FLAC", "PCM_16")[:20], "flac", "ends within its header"),
    "half an MP3": (half("MP3", "MPEG_LAYER_III"), "mp3", "its first frame promises 64 frames"),
    "MP3 without its last byte": (
        encoded("MP3", "MPEG_LAYER_III")[:-1],
        "mp3",
        "its first frame promises 64 frames and 63 are there",
    ),
    "MP3 that promises too much": (xing_promising(9999), "mp3", "promises 9999 frames"),
    "MP3 that promises too little": (xing_promising(10), "mp3", "promises 10 frames and 64"),
    "half an MP3 that promises nothing": (
        without_first_frame(half("MP3", "MPEG_LAYER_III")),
        "mp3",
        "its last frame is cut off",
    ),
    "MP3 cut in its tags": (b"ID3\x04\0\0\0\0\x20\0" + bytes(100), "mp3", "ends within its tags"),
    "half an OGG": (half("OGG", "VORBIS"), "ogg", "its last page is cut off"),
    "OGG without its last page": (OGG[:LAST_PAGE], "ogg", "its last page is missing"),
    "OGG without its last byte": (OGG[:-1], "ogg", "its last page is cut off"),
    "OGG with a hole": (
        OGG[: len(OGG) // 3] + OGG[len(OGG) // 2 :],
        "ogg",
        "a page should begin at byte",
    ),
    "half an Opus": (half("OGG", "OPUS"), "opus", "its last page is"),
    "two OGG one after the other": (OGG + OGG, "ogg", "holds 2 sounds one after the other"),
    "no samples": (encoded("WAV", "PCM_16", np.zeros((0, 1))), "wav", "holds no samples"),
    "not a number": (
        encoded("WAV", "FLOAT", np.array([0.1, 0.2, np.nan, np.nan])),
        "wav",
        "2 samples that are NaN or infinite, the first at 0.000042 s",
    ),
    "infinite": (encoded("WAV", "DOUBLE", np.array([0.1, -np.inf])), "wav", "1 samples that are"),
    "m4a": (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(64), "m4a", "it looks like MPEG-4"),
    "MIDI": (b"MThd\0\0\0\x06\0\x01\0\x02\x01\xe0", "mid", "MIDI, which holds notes and no sound"),
    "AAC": (b"\xff\xf1\x50\x80" + bytes(64), "aac", "it looks like AAC"),
    "bytes of zero": (bytes(1000), "wav", "begins with the bytes 00 00 00 00"),
    "one byte": (b"\xff", "wav", "begins with the bytes ff"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line_that_says_why(tmp_path, case, capfd):
    data, ending, message = BAD[case]
    path = put(tmp_path, data, ending)
    with pytest.raises(AudioFileError) as caught:
        read_audio(path)
    assert message in str(caught.value)
    assert f"sound.{ending}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert path.read_bytes() == data


def test_the_formats_that_work_are_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"Formats that work: WAV.*FLAC.*Vorbis.*Opus.*MP3"):
        read_audio(put(tmp_path, b"plain text", "txt"))


def test_missing_files_folders_and_other_things_are_told_apart(tmp_path):
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nowhere")
    for name, message in [
        ("missing.wav", "there is no file"),
        ("dangling.wav", "there is no file"),
        ("", "is a folder"),
        ("empty.wav", "is empty"),
        ("pipe.wav", "is not a regular file"),
        ("empty.wav/inside.wav", "cannot be opened: Not a directory"),
        ("x" * 300, "cannot be opened: File name too long"),
        ("nul\0byte", "cannot be opened"),
    ]:
        with pytest.raises(AudioFileError, match=message):
            read_audio(tmp_path / name)
    with pytest.raises(AudioFileError, match="not a regular file"):
        read_audio("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_an_error_of_the_family(tmp_path):
    path = put(tmp_path, WAV, "wav")
    path.chmod(0)
    with pytest.raises(AudioFileError, match="cannot be opened: Permission denied"):
        read_audio(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -1.0}, "start must be at least 0 s, got -1"),
        ({"start": math.nan}, "start must be at least 0 s, got nan"),
        ({"start": math.inf}, "start must be at least 0 s, got inf"),
        ({"start": 1.5}, r"which is 1\.5 s long, got 1\.5 s"),
        ({"start": 1e300}, r"which is 1\.5 s long"),
        ({"seconds": 0.0}, "seconds must be above 0 s and finite, got 0"),
        ({"seconds": -1.0}, "got -1"),
        ({"seconds": math.nan}, "got nan"),
        ({"seconds": math.inf}, "got inf"),
        ({"seconds": 1e-9}, "must reach one sample"),
    ],
)
def test_a_stretch_that_no_file_has_is_refused(tmp_path, options, message):
    with pytest.raises(InvalidValueError, match=message):
        read_audio(put(tmp_path, WAV, "wav"), **options)


# --- what is accepted with a note


@pytest.mark.parametrize(
    ("case", "atol", "there"),
    [
        ("half a WAV", 0, 35_984),
        ("WAV without its last byte", 0, 71_999),
        ("WAV header promises too much", 0, 72_000),
        ("half a FLAC", 0, 4096),
        ("FLAC header promises too much", 0, 72_000),
        ("FLAC header promises too little", 0, 72_000),
        ("half an MP3", 1e-6, 1152),
        ("MP3 without its last byte", 1e-6, 68_000),
        ("MP3 that promises too little", None, 72_000),
        ("OGG without its last page", 0, 4096),
        ("half an OGG", 0, 4096),
        ("two OGG one after the other", 0, 72_000),
    ],
)
def test_what_is_there_of_a_broken_file_can_be_had(tmp_path, case, atol, there, capfd):
    data, ending, message = BAD[case]
    result = read_audio(put(tmp_path, data, ending), allow_truncated=True)
    assert result.waveform.n_samples >= there
    assert any("not the whole sound" in note and message in note for note in result.notes)
    assert result.total_seconds == result.waveform.duration
    assert capfd.readouterr() == ("", "")
    if atol is not None:
        subtype = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
        full = soundfile.read(io.BytesIO(encoded(ending.upper(), subtype[ending])))[0]
        ours = result.waveform.samples[0].numpy()
        # The last frame of a cut MP3 may be incomplete.
        length = min(len(full), len(ours)) - (2304 if ending == "mp3" else 0)
        np.testing.assert_allclose(ours[:length], full[:length], rtol=0, atol=max(atol, 1e-7))


def test_every_sample_before_the_cut_in_a_flac_is_there(tmp_path):
    data = half("FLAC", "PCM_16")
    result = read_audio(put(tmp_path, data, "flac"), allow_truncated=True)
    # Noise of even strength needs even space, so half the file has about half the samples.
    assert abs(result.waveform.n_samples / 72_000 - 0.5) < 0.05
    assert result.waveform.n_samples % 4096 == 0


@pytest.mark.parametrize("riff", [0xFFFFFFFF, 0])
@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0])
def test_a_wav_from_a_pipe_does_not_know_its_length(tmp_path, riff, length):
    data = patched(patched(WAV, 4, struct.pack("<I", riff)), 40, struct.pack("<I", length))
    result = read_audio(put(tmp_path, data, "wav"))
    expected = read_audio(put(tmp_path, WAV, "wav")).waveform.samples
    assert result.waveform.samples.equal(expected)
    assert result.notes == (
        "the header does not say how long the sound is; it was read to the end of the file",
    )


def test_a_flac_from_a_pipe_does_not_know_its_length(tmp_path):
    result = read_audio(put(tmp_path, flac_promising(0), "flac"))
    expected, _ = soundfile.read(io.BytesIO(encoded("FLAC", "PCM_16")), dtype="float32")
    np.testing.assert_array_equal(result.waveform.samples[0].numpy(), expected)
    assert "its last frame does" in result.notes[0]


def test_an_mp3_without_a_count_is_read_to_its_end(tmp_path):
    # libsndfile guesses the length from the first frames' bitrate and drops the rest.
    loud, quiet = music(2), 1e-4 * music(2)
    full = encoded("MP3", "MPEG_LAYER_III", np.concatenate([loud, quiet, loud]))
    data = without_first_frame(full)
    guessed = soundfile.info(io.BytesIO(data)).frames
    result = read_audio(put(tmp_path, data, "mp3"))
    expected, _ = soundfile.read(io.BytesIO(full), dtype="float32")
    # Without the count, the encoder's delay of 576 samples is not known and stays.
    ours = result.waveform.samples[0, 576:].numpy()
    np.testing.assert_allclose(ours[: len(expected)], expected, rtol=0, atol=1e-6)
    assert guessed < 0.9 * len(expected) < len(ours)
    assert result.notes == ()


def test_two_missing_frames_are_missed_even_without_a_count_of_bytes(tmp_path):
    data = whole("MP3", "MPEG_LAYER_III")
    # Frames are counted, bytes are not; some encoders count the frame that says so.
    data = patched(data, data.index(b"Xing") + 4, struct.pack(">I", 1))
    length = len(data) - data.rindex(data[:2])
    assert read_audio(put(tmp_path, data[:-length], "mp3"), allow_truncated=True)
    with pytest.raises(AudioFileError, match="promises 64 frames and 62 are there"):
        read_audio(put(tmp_path, data[: data.rindex(data[:2], 0, -length)], "mp3"))


def test_tags_around_the_sound_are_no_damage(tmp_path):
    id3 = b"ID3\x04\0\0\0\0\x08\0" + bytes(1024)
    mp3 = encoded("MP3", "MPEG_LAYER_III")
    for name, data, tagged in [
        ("mp3", mp3, id3 + mp3 + b"TAG" + bytes(125)),
        ("flac", encoded("FLAC", "PCM_16"), id3 + encoded("FLAC", "PCM_16")),
        ("flac", encoded("FLAC", "PCM_16"), encoded("FLAC", "PCM_16") + b"TAG" + bytes(125)),
        ("wav", WAV, id3 + WAV),
        ("wav", WAV, WAV + b"LIST\x05\0\0\0INFO\0\0"),
    ]:
        plain = read_audio(put(tmp_path, data, name)).waveform.samples
        result = read_audio(put(tmp_path, tagged, name))
        assert result.waveform.samples.equal(plain)
        assert result.notes == ()
    result = read_audio(put(tmp_path, WAV + b"TAG" + bytes(125), "wav"))
    assert result.notes == ("128 bytes of tags after the sound were ignored",)


def test_junk_between_mp3_frames_is_skipped_and_said(tmp_path, capfd):
    data = without_first_frame(encoded("MP3", "MPEG_LAYER_III"))
    cut = data.index(data[:2], len(data) // 2)
    result = read_audio(put(tmp_path, data[:cut] + bytes(500) + data[cut:], "mp3"))
    assert "500 bytes between frames were skipped" in result.notes
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("format_name", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
def test_one_sample_is_read_and_said(tmp_path, format_name, subtype):
    path = put(tmp_path, encoded(format_name, subtype, np.array([0.5])), "any")
    result = read_audio(path)
    assert result.waveform.samples.tolist() == [[0.5]]
    assert result.notes == ("one sample only: too short to hear anything",)


@pytest.mark.parametrize(("format_name", "subtype"), LOSSLESS + LOSSY)
def test_digital_silence_is_read_and_said(tmp_path, format_name, subtype):
    path = put(tmp_path, encoded(format_name, subtype, np.zeros((24_000, 2))), "any")
    result = read_audio(path)
    assert result.waveform.samples.abs().max() < 1e-30
    assert result.notes == ("digital silence: no sample is above -240 dBFS",)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW"])
def test_clipping_is_measured(tmp_path, subtype):
    time = np.arange(48_000) / 48_000
    clean = np.sin(2 * np.pi * 100 * time)
    path = put(tmp_path, encoded("WAV", subtype, (2 * clean).clip(-1, 1)), "wav")
    # |2 sin| > 1 during two thirds of the time; coarse codes round some more of it up to 1.
    (note,) = read_audio(path).notes
    assert note.endswith("clipping is likely")
    assert abs(float(note.split("%")[0]) - 100 * 2 / 3) < 1.5
    assert read_audio(put(tmp_path, encoded("WAV", subtype, 0.9 * clean), "wav")).notes == ()


def test_clipped_runs_are_counted_by_hand():
    def share(*samples):
        return clipped_share(torch.tensor([samples]))

    assert share(1.0, 1.0, 0.0, 1.0, 1.0) == 0
    assert share(1.0, -1.0, 1.0, -1.0) == 0
    assert share(0.0, 1.0, 1.0, 1.0, 1.0, 0.0, -1.0, -1.0) == 0.5
    assert share(1.0, 1.0) == 0


def test_samples_over_full_scale_are_kept_and_said(tmp_path):
    samples = np.array([0.1, 2.0, -0.3])
    result = read_audio(put(tmp_path, encoded("WAV", "FLOAT", samples), "wav"))
    assert result.waveform.samples[0].tolist() == pytest.approx(samples, rel=0, abs=1e-7)
    assert result.notes == ("samples go over full scale (peak +6.02 dBFS)",)


# --- the decoder's remarks


def test_what_others_write_to_standard_error_is_passed_on(capfd):
    with decoding.captured_remarks() as remarks:
        os.write(2, b"[src/libmpg123/parse.c:do()] warning: Odd header\nsomebody else\n\n")
        os.write(2, b"Note: Trying to resync...\nNote: Trying to resync...\n")
    assert remarks == ["Odd header", "Trying to resync... (and 1 more like this)"]
    assert capfd.readouterr().err == "somebody else\n"


def test_standard_error_is_given_back_after_an_error(capfd):
    with pytest.raises(RuntimeError), decoding.captured_remarks():
        raise RuntimeError
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "back\n"


def test_no_descriptor_is_left_open(tmp_path):
    paths = [put(tmp_path, encoded(*kind), kind[0] + kind[1]) for kind in LOSSLESS + LOSSY]
    paths += [put(tmp_path, data, f"bad{n}") for n, (data, _, _) in enumerate(BAD.values())]

    def read_all():
        for path in paths:
            try:
                read_audio(path)
            except AudioFileError:
                continue

    read_all()
    before = len(list(Path("/dev/fd").iterdir()))
    read_all()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_process_without_standard_error_reads_mp3(tmp_path):
    path = put(tmp_path, encoded("MP3", "MPEG_LAYER_III"), "mp3")
    code = (
        "import sys\n"
        "from auralise.audio.files import read_audio\n"
        "sys.exit(read_audio(sys.argv[1]).waveform.n_samples != 72000)"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, code, path]
    assert subprocess.run(command).returncode == 0


# --- what is written


@pytest.mark.parametrize(
    ("ending", "subtype", "bits"),
    [
        ("wav", "PCM_U8", 8),
        ("wav", "PCM_16", 16),
        ("wav", "PCM_24", 24),
        ("wav", "PCM_32", 32),
        ("flac", "PCM_S8", 8),
        ("flac", "PCM_16", 16),
        ("FLAC", "PCM_24", 24),
    ],
)
def test_every_sample_gets_the_nearest_code(tmp_path, ending, subtype, bits):
    scale = 2 ** (bits - 1)
    exact = torch.rand(2, 1000, dtype=torch.float64, generator=torch.manual_seed(0)) * 2 - 1
    exact[:, :4] = torch.tensor([1.0, -1.0, 0.4 / scale, -0.6 / scale])
    path = tmp_path / f"sound.{ending}"
    write_audio(path, Waveform(exact, 44_100), subtype=subtype)
    stored = soundfile.read(path, dtype="int32")[0].T >> (32 - bits)
    nearest = np.clip(np.rint(exact.numpy() * scale), -scale, scale - 1)
    np.testing.assert_array_equal(stored, nearest)
    assert soundfile.info(path).subtype == subtype


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_keep_samples_over_full_scale(tmp_path, subtype):
    dtype = torch.float32 if subtype == "FLOAT" else torch.float64
    samples = torch.tensor([[1.5, -2.25, 1e-30]], dtype=dtype)
    write_audio(tmp_path / "a.wav", Waveform(samples, 8000), subtype=subtype)
    stored, rate = soundfile.read(tmp_path / "a.wav", always_2d=True)
    assert rate == 8000
    assert torch.from_numpy(stored.T).equal(samples.double())


def test_written_and_read_again_a_sound_is_the_same_to_half_a_code(tmp_path):
    sound = Waveform(torch.from_numpy(music(channels=2).T), 48_000)
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, sound)
        write_audio(tmp_path / name, sound)  # in place of the first
        result = read_audio(tmp_path / name)
        assert result.format.endswith("PCM_24")
        error = (result.waveform.samples.double() - sound.samples).abs().max()
        assert error <= 0.5 / 2**23 + 1e-12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "a.wav"]


def test_the_same_sound_gives_the_same_bytes():
    sound = Waveform(torch.from_numpy(music(0.1).T), 48_000)
    assert encode_wav(sound) == encode_wav(sound)
    samples, rate = soundfile.read(io.BytesIO(encode_wav(sound)))
    assert rate == 48_000
    np.testing.assert_allclose(samples, sound.samples[0].numpy(), rtol=0, atol=0.5 / 2**15)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([[0.1, 1.5]], r"would clip: its peak is 1\.5 \(\+3\.52 dBFS\).*apply_level"),
        ([[0.1, math.nan]], "1 of 2 samples are NaN or infinite"),
        ([[math.inf, 0.1]], "1 of 2 samples are NaN or infinite"),
        ([[]], "is empty"),
    ],
)
def test_what_would_lose_something_is_not_written(tmp_path, samples, message):
    sound = Waveform(torch.tensor(samples), 8000)
    with pytest.raises(InvalidValueError, match=message):
        write_audio(tmp_path / "a.wav", sound)
    with pytest.raises(InvalidValueError, match=message):
        encode_wav(sound)
    assert list(tmp_path.iterdir()) == []


def test_unknown_endings_and_sample_formats_are_refused(tmp_path):
    sound = Waveform(torch.zeros(1, 8), 8000)
    with pytest.raises(InvalidValueError, match=r"must end in \.wav or \.flac, got 'a\.mp3'"):
        write_audio(tmp_path / "a.mp3", sound)
    with pytest.raises(UnknownNameError, match=r"named 'PCM16'; did you mean 'PCM_16'"):
        write_audio(tmp_path / "a.wav", sound, subtype="PCM16")
    with pytest.raises(UnknownNameError, match="no FLAC sample format named 'FLOAT'"):
        write_audio(tmp_path / "a.flac", sound, subtype="FLOAT")
    with pytest.raises(InvalidValueError, match="9 channels at 8000 Hz cannot be written as FLAC"):
        write_audio(tmp_path / "a.flac", Waveform(torch.zeros(9, 8), 8000))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    sound = Waveform(torch.zeros(1, 8), 8000)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for name, reason in [
        ("missing/a.wav", "No such file or directory"),
        ("file/a.wav", "Not a directory"),
        ("folder.wav", "Is a directory"),
        ("nul\0.wav", "null"),
    ]:
        with pytest.raises(OutputError, match=f"cannot be written: .*{reason}"):
            write_audio(tmp_path / name, sound)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.wav"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Files may not grow over 1000 bytes: the system's own refusal in the middle of the writing.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=os.strerror(errno.EFBIG)):
            write_audio(path, Waveform(torch.zeros(1, 48_000), 48_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_real_recordings_are_whole(data_root):
    paths = sorted((data_root / "open").iterdir())
    assert paths
    for path in paths:
        result = read_audio(path, start=1.0, seconds=0.5)
        assert result.waveform.duration == 0.5
        assert not any("whole" in note for note in result.notes)
