"""Many sounds with labels: collections, splits, decoded clips.

Importing this package fills `DATASETS`: a new collection is a module listed here.
"""

from auralise.datasets import (
    folder,
    gtzan,
    magnatagatune,
    manifest,
    msd,
    philharmonia,
    sharded,
    synthetic,
)
from auralise.datasets.base import (
    DATASETS,
    Dataset,
    EmptyLabelWarning,
    Track,
    open_dataset,
)
from auralise.datasets.splits import (
    LeakySplitWarning,
    Split,
    split,
    split_by_group,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "EmptyLabelWarning",
    "LeakySplitWarning",
    "Split",
    "Track",
    "folder",
    "gtzan",
    "magnatagatune",
    "manifest",
    "msd",
    "open_dataset",
    "philharmonia",
    "sharded",
    "split",
    "split_by_group",
    "synthetic",
]
