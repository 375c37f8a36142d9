"""The code of the tutorial: the way from a song to a unit's sound, step by step."""

from importlib.resources import as_file, files

import auralise
from auralise.activations import receptive_field, run_to
from auralise.audio.levels import apply_level
from auralise.positions import place_of
from auralise.preparation import prepare
from auralise.settings import Settings

# [song]
with as_file(files("auralise.pretrained") / "vibe-ace-excerpt.ogg") as path:
    song = auralise.read_audio(path, start=2.0, seconds=4.0)
print(f"{song.waveform.duration:.1f} s of {song.total_seconds:.1f} s, {song.format}", *song.notes)

# [network]
network = auralise.load_model("choi2016-instruments")
frontend = network.card.frontend
source, notes = prepare(network, song.waveform)
features = frontend.analyse(source)
print(network.card.source)
print(f"{source.sample_rate} Hz; the network sees {tuple(features.values.shape)}", *notes)

# [layers]
for layer in auralise.list_layers(network.module, features.values):
    if "." not in layer.name:
        print(f"{layer.name:8} {layer.kind:12} {layer.channels:5} units, {layer.shape}")

# [strongest]
answer = run_to(network.module, features.values[None], "conv3")[0]
strengths = answer.flatten(1).amax(1)
units = [auralise.Unit("conv3", channel) for channel in strengths.topk(3).indices.tolist()]
print("strongest:", *units)

# [unit]
result = auralise.auralise_unit(network, source, units[0], method="guided")
inversion = result.inversion
print(f"{inversion.unit} by {inversion.method}: {inversion.activation:.3f}")
field = receptive_field(network.module, features.values, "conv3")
place = place_of(frontend, field, inversion.position, features.values.shape[1:])
print(f"strongest where it sees {place.start:.2f} s to {place.end:.2f} s,", end=" ")
print(f"{place.low:.0f} Hz to {place.high:.0f} Hz", *inversion.flags)

# [write]
for name, waveform in {
    "unit": result.waveform,
    "source": result.source,
    "round-trip": result.round_trip,
}.items():
    auralise.write_audio(f"{name}.wav", apply_level(waveform, result.source).waveform)

# [scores]
for name, value in result.scores.items():
    print(f"{name}: {value:.2f}")

# [settings]
settings = Settings(method="deconvnet", sonification="magnitude", at="whole")
for other in auralise.auralise_layer(network, source, "conv3", [5, 17], settings=settings):
    print(other.inversion.unit, other.sonification, other.phase, *other.inversion.flags)
