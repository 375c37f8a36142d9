"""The networks: one file per paper, their cards and weights.

Importing this package fills `MODELS`: a new architecture is a module listed here.
"""

from auralise.models import (
    choi2016,
    costa2017,
    dieleman2011,
    dieleman2014,
    kereliuk2015,
    li2010,
    nakashika2012,
    samplecnn,
    zhang2016,
)
from auralise.models.base import MODELS, Architecture, ModelCard, MusicNetwork, wrap
from auralise.models.tiny import tiny_network
from auralise.models.weights import load_model, read_manifest, save_model

__all__ = [
    "MODELS",
    "Architecture",
    "ModelCard",
    "MusicNetwork",
    "choi2016",
    "costa2017",
    "dieleman2011",
    "dieleman2014",
    "kereliuk2015",
    "li2010",
    "load_model",
    "nakashika2012",
    "read_manifest",
    "samplecnn",
    "save_model",
    "tiny_network",
    "wrap",
    "zhang2016",
]
