"""From a pipeline file to a checked `Pipeline`: one function, every finding in one pass, never an exception.

read text → tree → version → environment, `--set` → `${X}` → secrets → connections → shapes → meaning → pipeline
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.build import Builder
from engine.config.document import Document
from engine.config.draft import Draft, drafted
from engine.config.judge import judge
from engine.config.messages import Finding
from engine.config.nodes import Node
from engine.config.overlay import AsItIs, apply_connections, apply_environment, apply_sets
from engine.config.pipeline import Pipeline
from engine.config.reader import MAX_BYTES, read_text
from engine.config.resolve import Resolver, Surroundings
from engine.config.shapes import Catalog, Shapes
from engine.config.versions import upgraded
from engine.model import Problem


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file. `pipeline` is None exactly where a finding is an error; `document` and `draft` where the
    file could not be read as YAML. `draft` is what of it is whole. `secrets` are all secret texts, for masking."""

    pipeline: Pipeline | None
    document: Document | None
    findings: list[Finding]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    draft: Draft | None = field(default=None, repr=False)


def load(
    path: Path,
    registry: Catalog,
    *,
    environ: Mapping[str, str],
    sets: Mapping[str, str | AsItIs] | None = None,
    env: str | None = None,
    sandbox: bool = False,
    sending: bool = True,
) -> Loaded:
    """Reads and checks a file.

    `environ` is where `${X}` come from; `sets` are `--set name=value`; `env` an environment to lay over the file.
    `sandbox` stands in for secrets that are not there; without `sending` those are only warnings, and secret files
    stay unopened.
    """
    text, finding = _read(path)
    if finding:
        return Loaded(None, None, [finding])
    return parse(
        text, str(path), registry, environ=environ, sets=sets, env=env, sandbox=sandbox, sending=sending, path=path
    )


def parse(
    text: str,
    name: str,
    registry: Catalog,
    *,
    environ: Mapping[str, str],
    sets: Mapping[str, str | AsItIs] | None = None,
    env: str | None = None,
    sandbox: bool = False,
    sending: bool = True,
    path: Path | None = None,
) -> Loaded:
    """`load` for a text; `name` is what findings call it, `path` where relative paths start (default: `name`)."""
    text = text.removeprefix("\ufeff")
    reading = read_text(text)
    if reading.root is None:
        empty = Document(name, text, Node("map", 0, 0))
        return Loaded(None, None, _ordered(empty.flaw(flaw) for flaw in reading.flaws))
    current, dated = upgraded(reading.root)
    if current is None:
        later = Document(name, text, reading.root)
        return Loaded(None, later, [later.place(problem) for problem in dated])
    around = Surroundings(Path(path or name).absolute().parent, environ, sandbox, sending)
    root, problems, shapes = _prepare(current, registry, around, sets or {}, env)
    problems = [*dated, *problems]
    document = Document(name, text, root, lambda place: shapes.is_template(root, place))
    known = {problem.path for problem in problems if problem.code == "bad-secret"}
    unconnected = {
        problem.path[:2] for problem in problems if problem.code in ("unknown-connection", "wrong-connection")
    }
    problems += [
        problem for problem in judge(root, shapes)
        if problem.path not in known and not (problem.code == "missing-setting" and problem.path in unconnected)
    ]  # fmt: skip
    builder = Builder(root, Path(path or name).absolute(), shapes)
    pipeline = None
    if not reading.flaws and all(problem.warning for problem in problems):
        pipeline = builder.pipeline()
        problems += builder.conversion.problems
    findings = _ordered(
        [
            *(document.flaw(flaw) for flaw in reading.flaws),
            *(document.place(problem, written=True) for problem in problems),
        ]
    )
    clean = not any(finding.is_error for finding in findings)
    whole = pipeline if clean else None
    draft = Draft(whole) if whole is not None else drafted(builder, problems)
    return Loaded(whole, document, findings, around.secrets(), draft)


def _prepare(
    root: Node, registry: Catalog, around: Surroundings, sets: Mapping[str, str | AsItIs], env: str | None
) -> tuple[Node, list[Problem], Shapes]:
    """The tree with everything laid over it and every variable replaced."""
    shapes = Shapes(registry)
    root, problems = apply_environment(root, env)
    root, found = apply_sets(root, sets)
    resolver = Resolver(root, shapes, around)
    problems += found + resolver.resolve()
    root, found = apply_connections(resolver.root, shapes)
    return root, problems + found, shapes


def _read(path: Path) -> tuple[str, Finding | None]:
    """The file's text, or why there is none."""
    name = str(path)
    try:
        if not path.is_file():
            what = "is no regular file" if path.exists() else "does not exist"
            return "", Finding("no-file", f"the file {what}", name)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be opened"
        return "", Finding("no-file", f"the file cannot be read: {reason}", name)
    if len(content) > MAX_BYTES:
        return "", Finding("too-large", "the file is larger than 1 MiB", name)
    return _decode(content, name)


def _decode(content: bytes, name: str) -> tuple[str, Finding | None]:
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        before = content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
        hint = "save the file as UTF-8"
        return "", Finding("not-utf-8", "the file is not UTF-8 here", name, line, len(before) + 1, hint=hint)


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    """In the file's order, each once."""
    unique: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        unique.setdefault((finding.line, finding.column, finding.code, finding.message), finding)
    return sorted(unique.values(), key=lambda finding: (finding.line, finding.column, finding.code))
