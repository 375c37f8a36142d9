"""Tags that listeners gave to tracks of the Million Song Dataset: the Last.fm SQLite database.

It has three tables: ``tids`` with a column ``tid``, ``tags`` with a column ``tag``, and ``tid_tag``
with ``tid`` and ``tag``, which are row numbers of the others, and ``val``, from 0 to 100.

Sources:

- T. Bertin-Mahieux, D. P. W. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR
  2011; the Last.fm dataset, millionsongdataset.com/lastfm.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

from auralise.errors import InvalidValueError

_QUERY = """
    SELECT tids.tid, tags.tag FROM tid_tag
    JOIN tids ON tid_tag.tid = tids.ROWID
    JOIN tags ON tid_tag.tag = tags.ROWID
    WHERE tid_tag.val >= ? ORDER BY tid_tag.tid, tid_tag.val DESC, tags.tag
"""


def read_tags(
    database: Path, tracks: Collection[str], *, least: float = 0.0
) -> dict[str, tuple[str, ...]]:
    """Read the tags of tracks.

    Parameters
    ----------
    database : Path
        ``lastfm_tags.db``; it is only read.
    tracks : collection of str
        Names like ``TRAAAAW128F429D538``.
    least : float
        Tags of a lower weight are left out; from 0 to 100.

    Returns
    -------
    dict of str to tuple of str
        Of the tracks that have tags; the heaviest tag first.

    Raises
    ------
    InvalidValueError
        If the file is no such database.
    """
    if not database.is_file():
        raise InvalidValueError(f"no file {str(database)!r}; it should be Last.fm's tag database")
    wanted = set(tracks)
    tags: dict[str, list[str]] = defaultdict(list)
    try:
        address = f"{database.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            for track, tag in connection.execute(_QUERY, (least,)):
                if track in wanted:
                    tags[track].append(tag)
    except sqlite3.DatabaseError as error:
        raise InvalidValueError(
            f"{database.name} is not a database with the tables tids, tags and tid_tag: {error}"
        ) from error
    return {track: tuple(own) for track, own in tags.items()}


def top_tags(tags: Mapping[str, tuple[str, ...]], number: int = 50) -> tuple[str, ...]:
    """Return the tags that most tracks have, most frequent first, alphabetical among equals."""
    counts = Counter(tag for own in tags.values() for tag in set(own))
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    return tuple(ranked[:number])
