"""Where files are: paths, patterns, addresses and standard input; how they are named and opened."""

from __future__ import annotations

import difflib
import fnmatch
import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from engine.plugin import EngineError, InvalidPipeline, Refused
from engine.sources.addresses import LOOPBACK, Web

STDIN = "-"
MOST_SEEN, WALKED = 1_000, 20_000  # files, and entries of folders, that a mere check looks at
DEEPEST = 64  # steps of a pattern that a mere check follows
STORES = {
    "s3": "s3",
    "s3a": "s3",
    "s3n": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "azure": "azure",
    "sftp": "sftp",
    "ssh": "sftp",
}
SCHEMES = ("http", "https", *STORES)


@dataclass(frozen=True, slots=True)
class Place:
    """One file. `name` is how people know it and does not depend on the machine; `target` is what is opened."""

    name: str
    target: str
    kind: str  # "local" | "web" | "remote" | "stdin"
    inside: bool = False  # a local file below the pipeline's folder, links followed


def scheme_of(path: str) -> str | None:
    """The scheme of an address, None for a path. One letter is a drive, not a scheme."""
    scheme, mark, _ = path.partition("://")
    return scheme.lower() if mark and len(scheme) > 1 and scheme.replace("+", "").isalnum() else None


def check_path(path: str, schemes: tuple[str, ...] = SCHEMES) -> None:
    """Refuses what can be seen to be wrong in the text of a path or address alone."""
    if not path:
        raise InvalidPipeline("path: it is empty; write a path, a pattern or an address")
    scheme = scheme_of(path)
    if path.startswith("~"):
        raise InvalidPipeline(f"path: ~ is not expanded in {path!r}; write the whole path, or ${{HOME}}/…")
    if "\0" in path:
        raise InvalidPipeline("path: it holds a NUL character")
    if scheme in (None, "file"):
        return
    if scheme not in schemes:
        raise InvalidPipeline(f"path: files cannot be reached by {scheme}://{_nearest(scheme or '', schemes)}")
    _check_address(path, scheme or "")


def _check_address(path: str, scheme: str) -> None:
    try:
        parts = urlsplit(path)
        host, user = parts.hostname or "", parts.username or parts.password
    except ValueError as error:
        raise InvalidPipeline(f"path: this {scheme} address cannot be read: {error}") from error
    if user and (parts.password is not None or scheme not in ("sftp", "ssh")):
        raise InvalidPipeline(
            f"path: credentials do not belong into an address ({scheme}://…@{host}); use the environment"
        )
    if scheme == "http" and host not in LOOPBACK:
        raise InvalidPipeline(f"path: http://{host} would carry the data in the clear; use https")
    if "*" in parts.path:
        raise InvalidPipeline("path: patterns are for local files; name one object")


def _nearest(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.5)
    return f"; did you mean {near[0]}://?" if near else f"; these can be: {', '.join(names)}"


def places(path: str, base: str) -> list[Place]:
    """The files that a path, pattern or address stands for, sorted by name."""
    check_path(path)
    if path == STDIN:
        return [Place("-", "-", "stdin")]
    scheme = scheme_of(path)
    if scheme not in (None, "file"):
        if scheme in ("http", "https"):
            return [Place(path.partition("?")[0].partition("#")[0], path.partition("#")[0], "web")]
        return [Place(path, path, "remote")]
    return _local(path[len("file://") :] if scheme else path, Path(base or ".").resolve())


def seen_beforehand(path: str, base: str, most: int = MOST_SEEN) -> list[Place]:
    """Some of the files that a path stands for, as far as a look that costs little, and only below `base`, tells.

    A file that is merely checked may be a stranger's: a pattern that starts outside of the folder is not followed, at
    most `WALKED` entries are walked, and the first `most` files that are found are given.
    """
    folder = Path(base or ".").resolve()
    written = path[len("file://") :] if scheme_of(path) == "file" else path
    if scheme_of(path) not in (None, "file") or not glob.has_magic(written) or (folder / written).exists():
        return places(path, base)[:most]
    check_path(path)
    steps = Path(written).parts
    fixed = list(takewhile(lambda step: not glob.has_magic(step), steps))
    start = (folder / Path(*fixed)).resolve()
    if not start.is_relative_to(folder) or ".." in steps[len(fixed) :] or len(steps) > DEEPEST:
        return []
    found = islice(_matches(start, steps[len(fixed) :], [WALKED]), most)
    inside = [file for file in found if file.resolve().is_relative_to(folder)]
    return sorted(
        (Place(_named(str(file), folder), str(file), "local", True) for file in inside), key=lambda place: place.name
    )


def _matches(folder: Path, steps: Sequence[str], left: list[int]) -> Iterator[Path]:
    """The regular files below a folder that a pattern's steps name, as `glob` has it, until `left` is used up."""
    step, rest = steps[0], steps[1:]
    if step == "**" and rest:
        yield from _matches(folder, rest, left)
    for entry in _entries(folder, left):
        hidden = entry.name.startswith(".")
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:
            continue
        if step == "**":
            if is_folder and not hidden and not entry.is_symlink():
                yield from _matches(folder / entry.name, steps, left)
            elif is_file and not rest and not hidden:
                yield folder / entry.name
        elif fnmatch.fnmatch(entry.name, step) and (not hidden or step.startswith(".")):
            if rest and is_folder:
                yield from _matches(folder / entry.name, rest, left)
            elif not rest and is_file:
                yield folder / entry.name


def _entries(folder: Path, left: list[int]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                left[0] -= 1
                if left[0] < 0:
                    return
                yield entry
    except OSError:
        return


def _local(path: str, base: Path) -> list[Place]:
    if (base / path).exists() or not glob.has_magic(path):
        found = [path]
    else:
        found = [name for name in glob.glob(path, root_dir=base, recursive=True) if not (base / name).is_dir()]  # noqa: PTH207
    if not found:
        raise InvalidPipeline(f"path: no file matches {path!r} (looked in {base})")
    known = [
        Place(_named(name, base), str(base / name), "local", (base / name).resolve().is_relative_to(base))
        for name in found
    ]
    for place in known:
        _check_file(place, base)
    return sorted(known, key=lambda place: place.name)


def _named(path: str, base: Path) -> str:
    """Relative to the pipeline's folder where it lies below it, with forward slashes."""
    whole = Path(os.path.normpath(base / path))
    if whole.is_relative_to(base):
        return whole.relative_to(base).as_posix()
    return Path(path).as_posix()


def _check_file(place: Place, base: Path) -> None:
    try:
        mode = Path(place.target).stat().st_mode
    except FileNotFoundError as error:
        raise InvalidPipeline(
            f"path: there is no file {place.name!r}{_sibling(place.target)} (looked in {base})"
        ) from error
    except OSError as error:
        raise InvalidPipeline(f"path: {place.name!r} cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise InvalidPipeline(
            f"path: {place.name!r} is a folder; name the files in it: {place.name.rstrip('/')}/*.csv"
        )
    if not stat.S_ISREG(mode):
        raise InvalidPipeline(
            f"path: {place.name!r} is a pipe or a device; read it through standard input: path: '-'"
        )


def _sibling(target: str) -> str:
    folder = Path(target).parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(Path(target).name, names, 1, 0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


class Remote:
    """An object in a store. Whatever its client raises is `Refused`: what was read before stands."""

    def __init__(self, place: Place) -> None:
        scheme = scheme_of(place.target) or ""
        library = smart_open(scheme)
        self._name = place.name
        with self._told():
            self._file = library(place.target, "rb", compression="disable")

    def read(self, size: int) -> bytes:
        with self._told():
            data: bytes = self._file.read(size)
            return data

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # each store has its own family of errors
            raise Refused(f"{self._name} cannot be read to its end: {type(error).__name__}") from error


@contextmanager
def opened(place: Place, web: Web) -> Iterator[BinaryIO]:
    """The bytes of a place as they lie there. What goes wrong while reading is `Refused`."""
    if place.kind == "stdin":
        yield sys.stdin.buffer
    elif place.kind == "web":
        with closing(web.open(place.target, place.name)) as page:
            yield cast(BinaryIO, page)
    elif place.kind == "remote":
        with closing(Remote(place)) as remote:
            yield cast(BinaryIO, remote)
    else:
        try:
            with Path(place.target).open("rb", buffering=0) as file:
                yield cast(BinaryIO, file)
        except OSError as error:
            raise Refused(f"{place.name} cannot be read to its end: {error.strerror or error}") from error


def smart_open(scheme: str) -> Any:
    """smart_open's `open`, or an error that names the extra which a scheme needs."""
    import smart_open as library

    try:
        library.transport.get_transport(scheme)
    except (ImportError, NotImplementedError) as error:
        extra = STORES.get(scheme, scheme)
        raise InvalidPipeline(f"path: {scheme}:// needs more libraries: pip install 'engine[{extra}]'") from error
    return library.open
