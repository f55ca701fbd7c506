"""Common subexpressions: what is certainly computed for every row, and more than once."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from engine.mapping.evaluate import BINARY
from engine.mapping.filters import RESCUING
from engine.mapping.tree import Each, Expression, Text, Tree, children

UNSTEADY = frozenset({"first", "last", "min", "max"}) | RESCUING  # may be missing, or provide for it


def repeated(
    trees: list[Tree], names: frozenset[str], keys: dict[int, str], least: int
) -> Iterator[tuple[nodes.Expr, str]]:
    """Expressions of `names` alone that stand in the trees at least `least` times, inner ones first.

    `keys` is filled: id of a node → what it says, for every candidate.
    """
    found = _Found(names, keys)
    for tree in trees:
        found.tree(tree, True)
    wanted = [key for key, count in found.counts.items() if count >= least and key in found.certain]
    for key in sorted(wanted, key=len):
        yield found.nodes[key], key


class _Found:
    def __init__(self, names: frozenset[str], keys: dict[int, str]) -> None:
        self.names, self.keys = names, keys
        self.counts: dict[str, int] = {}
        self.nodes: dict[str, nodes.Expr] = {}
        self.certain: set[str] = set()

    def tree(self, tree: Tree, certain: bool) -> None:
        if isinstance(tree, Expression):
            self.visit(tree.node, certain)
        elif isinstance(tree, Text):
            for part in tree.parts:
                if not isinstance(part, str):
                    self.visit(part, certain)
        elif isinstance(tree, Each):
            self.tree(tree.members, certain)
            self.tree(tree.value, False)
        else:
            for child in children(tree):
                self.tree(child, certain)

    def visit(self, node: nodes.Node, certain: bool) -> None:
        if isinstance(node, nodes.Expr) and _candidate(node) and self._row_level(node):
            key = self.keys[id(node)] = repr(node)
            again = key in self.counts
            self.counts[key] = self.counts.get(key, 0) + 1
            if certain:
                self.certain.add(key)
            self.nodes.setdefault(key, node)
            if again:
                return
        for child, sure in _parts(node):
            self.visit(child, certain and sure)

    def _row_level(self, node: nodes.Expr) -> bool:
        return all(name.name in self.names for name in node.find_all(nodes.Name)) and any(node.find_all(nodes.Name))


def _candidate(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name not in UNSTEADY
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr)
    return isinstance(node, nodes.Concat) or type(node) in BINARY


def _parts(node: nodes.Node) -> Iterator[tuple[nodes.Node, bool]]:
    """The parts of a node; the second is whether a part is computed whenever the node is."""
    if isinstance(node, nodes.CondExpr):
        yield from ((part, part is node.test) for part in node.iter_child_nodes())
    elif isinstance(node, nodes.And | nodes.Or):
        yield from ((part, part is node.left) for part in node.iter_child_nodes())
    elif isinstance(node, nodes.Filter) and node.name in RESCUING:
        yield from ((part, part is node.node) for part in node.iter_child_nodes())
    elif isinstance(node, nodes.Compare):
        yield from ((part, at < 2) for at, part in enumerate(node.iter_child_nodes()))
    else:
        sure = not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name))
        yield from ((part, sure) for part in node.iter_child_nodes())
