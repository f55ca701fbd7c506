"""Imports go one way; the loop fits a page; vendors' files stay short."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "engine"

# Each room may import the rooms after its colon; its own files it always may.
MAY_IMPORT = {
    "cli": {"commands", "console", "errors"},
    "__main__": {"cli"},
    "__init__": {"python", "errors"},  # where they are asked for, never before
    "trials": {"runners", "runtime", "config", "mapping", "registry", "plugin", "model", "errors"},
    "commands": {
        "template",
        "trials",
        "explanations",
        "console",
        "runners",
        "runtime",
        "config",
        "mapping",
        "registry",
        "plugin",
        "model",
        "errors",
    },
    "console": {"runtime", "config.messages", "errors", "model"},
    "python": {"vendors", "runners", "runtime", "config", "registry", "plugin", "model", "errors"},
    "runners": {"runtime", "config", "mapping", "registry", "plugin", "model", "errors"},
    "runtime": {"config", "mapping", "registry", "plugin", "model", "errors"},
    "config": {"model", "errors"},
    "mapping": {"config.pipeline", "model", "errors"},
    "registry": {"errors"},
    "explanations": set(),  # data and its reader
    "template": set(),
    "plugin": {"model", "errors"},
    "model": {"errors"},
    "errors": set(),
    "sources": {"plugin"},
    "sinks": {"plugin"},
    "vendors": {"plugin"},
    "sandbox": {"plugin", "vendors.buckets"},  # the pretend Flagship decides by the same pure functions
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append(node.module)
    return [name.removeprefix("engine.") for name in found if name.startswith("engine.")]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT[room]
    for name in imports(path):
        top = name.split(".")[0]
        assert top == room or top in allowed or name in allowed, f"{room} may not import engine.{name}"


def test_the_loop_fits_a_page():
    lines = (PACKAGE / "runtime" / "run.py").read_text("utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    loop = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "run")
    assert loop.end_lineno - loop.lineno < 30
    assert len(lines) <= 200


@pytest.mark.parametrize("path", sorted((PACKAGE / "vendors").glob("*.py")), ids=lambda p: p.name)
def test_a_vendors_file_stays_short(path):
    code = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 200, f"{path.name} has {len(code)} lines"


def test_no_file_is_long():
    long = {str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text("utf-8").splitlines())) > 400}
    assert not long
