"""Names of the components that callbacks talk to; also known to ``assets/*.js``."""

URL = "url"
PAGE = "page"
NAVIGATION = "navigation"
LOOK = "look"  # one of `drawings.LOOKS`, as shown

MODEL = "choose-model"
SONG = "choose-song"
START = "choose-start"
LAYER = "choose-layer"
METHOD = "choose-method"
PHASE = "choose-phase"
SONIFICATION = "choose-sonification"
OTHER = "choose-other"  # the second network
STIMULUS = "choose-stimulus"

VIEW = "view"  # what the page shows, as plain values
PROBLEM = "problem"
SOUNDS = "sounds"
PLAYERS = "players"
SAID = "said"
FIGURE = "figure"
FIGURE_URL = "figure-url"
FIGURE_BOX = "figure-box"
GRID = "grid"
GRID_KEY = "grid-key"
GRID_CAPTION = "grid-caption"
UPLOAD = "upload"
DOWNLOAD = "download"
DOWNLOAD_URL = "download-url"

JOB = "job"
JOB_TICK = "job-tick"
JOB_CANCEL = "job-cancel"
JOB_BOX = "job-box"
RESULT = "result"
AXIS = "choose-axis"
FILTER = "filter"

LAYERS_TABLE = "layers-table"
ABX = "abx"
