"""Hear what one unit of a network responds to in a song."""

from importlib.resources import as_file, files

import auralise
from auralise.audio.levels import apply_level

network = auralise.load_model("choi2016-instruments")
with as_file(files("auralise.pretrained") / "vibe-ace-excerpt.ogg") as song:
    source = auralise.read_audio(song, start=2.0, seconds=4.0).waveform
result = auralise.auralise_unit(network, source, "conv3:17", method="guided")
print(result.inversion.unit, result.inversion.activation, *result.inversion.flags)
auralise.write_audio("unit.wav", apply_level(result.waveform, source).waveform)
