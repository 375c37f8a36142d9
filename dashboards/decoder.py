"""The process that decodes one upload: run as a module, with little memory and time.

It waits for one line of JSON on standard input, decodes, answers with one line on standard output
and ends. What a hostile file can do, it does to this process.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

from auralise.audio.files import read_audio
from auralise.audio.waveform import Waveform
from auralise.audio.writing import encode_wav
from auralise.errors import AuraliseError


def limit(memory: int, cpu_seconds: int, file_bytes: int) -> None:
    """Bound what this process may use from now on.

    Parameters
    ----------
    memory : int
        Bytes beyond what it has already.
    cpu_seconds : int
        Beyond what it has used already.
    file_bytes : int
        Of any file it writes.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = round(used.ru_utime + used.ru_stime)
    for what, most in (
        (resource.RLIMIT_AS, pages * resource.getpagesize() + memory),
        (resource.RLIMIT_CPU, spent + cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def decode(source: Path, target: Path, seconds: float) -> dict[str, Any]:
    """Decode a file into a WAV file of one channel.

    Parameters
    ----------
    source, target : Path
    seconds : float
        How much of it is taken.

    Returns
    -------
    dict
        ``seconds`` and ``notes``; or ``error``, for the visitor.
    """
    try:
        sound = read_audio(source, seconds=seconds)
        mono = sound.waveform.mono()
        target.write_bytes(encode_wav(Waveform(mono.samples, mono.sample_rate), "FLOAT"))
    except AuraliseError as error:
        text = str(error).replace(repr(str(source)), "the file")
        return {"error": re.sub(r", or call read_audio\(.*", "", text)}
    except MemoryError:
        return {"error": "the file needs more memory to be decoded than uploads are given"}
    except RuntimeError as error:  # how torch says that memory is used up
        if "alloc" not in str(error):
            raise
        return {"error": "the file needs more memory to be decoded than uploads are given"}
    notes = [note for note in sound.notes if not note.startswith("asked for")]
    if sound.total_seconds > seconds:
        notes.append(f"only the first {seconds:.0f} s of {sound.total_seconds:.0f} s are used")
    return {"seconds": mono.duration, "notes": notes}


def main() -> None:
    """Answer the one request."""
    request = json.loads(sys.stdin.readline() or "null")
    if request is None:  # the server has ended without needing this process
        return
    limit(request["memory"], request["cpu_seconds"], request["file_bytes"])
    answer = decode(Path(request["source"]), Path(request["target"]), request["seconds"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
