"""Collections, splits and clips."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from auralise.datasets import Dataset, Track, open_dataset, split_by_group
from auralise.datasets.clips import place, read_clips, trim
from auralise.errors import AudioFileError, InvalidValueError, UnknownNameError


def notes(pitches=10, takes=3):
    return tuple(
        Track(Path(f"{label}_{pitch}_{take}.wav"), label, f"{label}_{pitch}")
        for label in ("cello", "oboe")
        for pitch in range(pitches)
        for take in range(takes)
    )


def test_no_group_stands_on_two_sides_and_nothing_is_lost():
    dataset = Dataset("notes", notes(), "", "pitch")
    split = split_by_group(dataset, seed=3)
    parts = [{track.group for track in part} for part in (split.train, split.valid, split.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert Counter(split.train + split.valid + split.test) == Counter(dataset.tracks)


def test_each_label_is_divided_in_the_asked_shares():
    split = split_by_group(Dataset("notes", notes(), "", "pitch"))
    for part, groups in ((split.train, 6), (split.valid, 2), (split.test, 2)):
        found = Counter(label for label, _ in {(t.label, t.group) for t in part})
        assert found == {"cello": groups, "oboe": groups}


def test_a_split_is_repeatable_and_depends_on_its_seed():
    dataset = Dataset("notes", notes(), "", "pitch")
    assert split_by_group(dataset, seed=1) == split_by_group(dataset, seed=1)
    assert split_by_group(dataset, seed=1) != split_by_group(dataset, seed=2)


def test_too_few_groups_are_refused_by_name():
    with pytest.raises(InvalidValueError, match="label 'cello' has 2 groups"):
        split_by_group(Dataset("notes", notes(pitches=2), "", "pitch"))


def test_shares_must_sum_to_one():
    with pytest.raises(InvalidValueError, match="summing to 1"):
        split_by_group(Dataset("notes", notes(), "", "pitch"), shares=(0.5, 0.2, 0.2))


def test_one_label_is_not_a_collection():
    tracks = tuple(track for track in notes() if track.label == "oboe")
    with pytest.raises(InvalidValueError, match="30 sound files with 1 different labels"):
        Dataset("oboes", tracks, "", "pitch")


@pytest.fixture
def folder(tmp_path):
    for label in ("cello", "oboe"):
        (tmp_path / label).mkdir()
        for note in ("A3", "Gs4"):
            for length in ("1", "05"):
                path = tmp_path / label / f"{label}_{note}_{length}_forte_normal.mp3"
                tone = 0.3 * np.sin(np.arange(11025) * 0.1)
                soundfile.write(path, tone, 22050, format="MP3", subtype="MPEG_LAYER_III")
    return tmp_path


def test_takes_of_one_pitch_by_one_instrument_form_a_group(folder):
    dataset = open_dataset(f"philharmonia:{folder}")
    assert dataset.labels == ("cello", "oboe")
    assert Counter(t.group for t in dataset.tracks) == {
        "cello_A3": 2,
        "cello_Gs4": 2,
        "oboe_A3": 2,
        "oboe_Gs4": 2,
    }


@pytest.mark.parametrize("kind", ["folder", "philharmonia"])
def test_a_collection_reads_a_folder_per_class(kind, folder):
    dataset = open_dataset(f"{kind}:{folder}")
    assert len(dataset.tracks) == 8
    assert {track.label for track in dataset.tracks} == {"cello", "oboe"}


def test_a_misspelt_collection_or_folder_is_refused(folder):
    with pytest.raises(UnknownNameError, match="did you mean 'philharmonia'"):
        open_dataset(f"philarmonia:{folder}")
    with pytest.raises(InvalidValueError, match="no folder"):
        open_dataset("folder:nowhere")
    with pytest.raises(InvalidValueError, match="kind:folder"):
        open_dataset(str(folder))


def test_a_foreign_file_name_is_refused(folder):
    (folder / "oboe" / "readme.mp3").write_bytes(b"")
    with pytest.raises(InvalidValueError, match=r"'readme.mp3' is not named"):
        open_dataset(f"philharmonia:{folder}")


def test_clips_are_resampled_trimmed_and_brought_to_peak_one(tmp_path):
    tone = np.concatenate([np.zeros(8000), 0.2 * np.sin(np.arange(16000) * 0.2), np.zeros(8000)])
    soundfile.write(tmp_path / "a.wav", tone, 16000, subtype="FLOAT")
    (clip,) = read_clips([Track(tmp_path / "a.wav", "x", "a")], 8000)
    assert clip.samples.shape[0] == pytest.approx(8000, abs=80)  # the filter rings
    assert clip.samples.abs().max() == 1.0


def test_an_unreadable_track_is_named(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioFileError) as caught:
        list(read_clips([Track(tmp_path / "bad.wav", "x", "a")], 8000))
    assert "bad.wav" in caught.value.__notes__[0]


def test_silence_survives_trimming():
    assert torch.equal(trim(torch.zeros(5)), torch.zeros(5))


def test_placing_by_hand():
    sound = torch.tensor([1.0, 2.0])
    assert place(sound, 4, 0.0).tolist() == [1, 2, 0, 0]
    assert place(sound, 4, 1.0).tolist() == [0, 0, 1, 2]
    assert place(torch.arange(6.0), 4, 1.0).tolist() == [2, 3, 4, 5]
