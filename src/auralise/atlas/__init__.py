"""Which clips make each unit of a network fire, over a whole collection."""

from auralise.atlas.build import add_layers, build
from auralise.atlas.merge import merge
from auralise.atlas.options import Options, Report
from auralise.atlas.query import Atlas
from auralise.atlas.unit import AtlasUnit, Example

__all__ = ["Atlas", "AtlasUnit", "Example", "Options", "Report", "add_layers", "build", "merge"]
