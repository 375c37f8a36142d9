"""What a spectrogram network's first filters look for, beside untrained ones."""

# [count]
from auralise.filters import count_classes, first_kernels
from auralise.filters.orientation import untrained_kernels
from auralise.models.tiny import tiny_network

layer, kernels = first_kernels(tiny_network())
filters, bins, frames = kernels.shape
controls = untrained_kernels((bins, frames), 64)
for entry in count_classes(kernels, controls):
    print(
        f"{entry.name}: {entry.count} of {filters}, {entry.share}; {entry.untrained:.1%} untrained"
    )
