"""One Python function per mapping that maps a whole micro-batch.

    def run(pairs, mapped, lookups, meta_of, slow):
        while True:
            try:
                for i, row in pairs: …           # one row: unpack, let, when, each, payload, key
                return
            except Exception:
                slow(i)                          # the reference decides about row i; then on with the next

The `try` costs nothing while nothing fails; the iterator goes on where it stopped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

from jinja2 import nodes

from engine.mapping.codes import ANY, NUM, NUMS, Code, decides
from engine.mapping.emit_calls import Emitter
from engine.mapping.reference import Shape
from engine.mapping.repeats import repeated
from engine.mapping.tree import Each, Expression, ListOf, Literal, MapOf, Text, Tree, expressions
from engine.mapping.values import MAX_MEMBERS


def generate(shape: Shape, emitter: Emitter, lookups: frozenset[str], needs_meta: bool) -> Callable[..., None] | None:
    """The function, or None where the text is more than Python takes (then the reference maps every row)."""
    writer = _Writer(emitter)
    try:
        source = writer.function(shape, sorted(lookups), needs_meta)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            code = compile(source, "<mapping>", "exec")
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        return None
    exec(code, emitter.bound)  # noqa: S102  (made of our own names and of constants alone)
    run: Callable[..., None] = emitter.bound["run"]
    run.__dict__["source"] = source
    return run


class _Writer:
    def __init__(self, emitter: Emitter) -> None:
        self.emitter, self.lines, self.depth = emitter, list[str](), 0
        self.statements = False  # a payload is put together by statements, out of the order of its fields

    def line(self, text: str, deeper: int = 0) -> None:
        self.lines.append("    " * self.depth + text)
        self.depth += deeper

    # --- the frame

    def function(self, shape: Shape, lookups: list[str], needs_meta: bool) -> str:
        body = self._nested(lambda: self._row(shape), 4)
        self.line("def run(pairs, mapped, lookups, meta_of, slow):", 1)
        self.line("payloads = mapped.payloads; add = payloads.append; filtered = mapped.filtered.append")
        if shape.key is not None:
            self.line("add_key = mapped.keys.append")
        if shape.each is not None:
            self.line("add_source = mapped.sources.append; add_element = mapped.elements.append")
        for at, name in enumerate(lookups):
            self.line(f"lookup{at} = lookups[{name!a}]")
        self.line("while True:", 1)
        self.line("try:", 1)
        self.line("for i, row in pairs:", 1)
        if shape.each is not None:
            self.line("n = len(payloads)")
        if any("walked += " in line for line in body):
            self.line("walked = 0")
        self._unpack(body)
        for at, _ in enumerate(lookups):
            self.line(f"l{at} = lookup{at}[i]")
        if needs_meta:
            self.line("meta = meta_of(i)")
        self.lines += body
        self.depth -= 1
        self.line("return")
        self.depth -= 1
        self._handlers(shape)
        return "\n".join(self.lines) + "\n"

    def _handlers(self, shape: Shape) -> None:
        if not self.statements and shape.each is None:
            self.line("except _Skip:", 1)
            self.line("filtered(i)", -1)
        self.line("except Exception:", 1)
        if shape.each is not None:
            self.line("del payloads[n:], mapped.sources[n:], mapped.elements[n:]  # what this row had given")
            if shape.key is not None:
                self.line("del mapped.keys[n:]")
        self.line("slow(i)")

    def _unpack(self, body: list[str]) -> None:
        """Cells into locals: only those that are used."""
        columns = self.emitter.columns
        if columns is None:
            return
        text = "\n".join(body)
        used = [at for at in range(len(columns)) if _mentions(text, f"c{at}")]
        if len(used) * 3 >= len(columns) and len(columns) > 1:
            self.line(", ".join(f"c{at}" if at in used else "_" for at in range(len(columns))) + " = row")
        else:
            for at in used:
                self.line(f"c{at} = row[{at}]")
        if self.emitter.needs_record:
            names = self.emitter.bind(columns, "columns")
            self.line(f"R = dict(zip({names}, row, strict=True))")

    def _nested(self, write: Callable[[], None], depth: int) -> list[str]:
        lines, self.lines, before, self.depth = self.lines, [], self.depth, depth
        write()
        written, self.lines, self.depth = self.lines, lines, before
        return written

    # --- one row

    def _row(self, shape: Shape) -> None:
        emitter = self.emitter
        self._lets(shape.early)
        if shape.when is not None:
            when = self._optional(shape.when)
            self.line(f"if not {when.text}:", 1)
            self.line("filtered(i); continue", -1)
        self._lets(shape.late)
        row_names = frozenset({*emitter.locals, *emitter.constants, "record"})
        trees = [shape.root, *([shape.key] if shape.key is not None else [])]
        for node, key in repeated(trees, row_names - emitter.omitting, emitter.keys, 1 if shape.each else 2):
            code = emitter.result(node)
            if not code.text.isidentifier():
                local = emitter.temp()
                self.line(f"{local} = {code.text}")
                emitter.hoisted[key] = Code(local, code.kind)
        if shape.each is None:
            self._payload(shape)
        else:
            self._elements(shape)

    def _lets(self, lets: tuple[tuple[str, Tree], ...]) -> None:
        for name, tree in lets:
            code, omits = self._tree(tree), self._may_omit(tree)
            local = f"v{len(self.emitter.locals)}"
            self.line(f"{local} = {code.text}")
            self.emitter.locals[name] = Code(local, ANY if omits else code.kind)
            if omits:
                self.emitter.omitting.add(name)

    def _elements(self, shape: Shape) -> None:
        assert shape.each is not None
        each = self._optional(shape.each)
        self.emitter.locals["item"] = Code("item")
        self.line(f"for j, item in enumerate({self._walked(each)}):", 1)
        self.line("try:", 1)
        self._payload(shape)
        self.depth -= 1
        if any(decides(node, ()) for node in self._all(shape)):
            # an earlier field of the element may have failed: only the reference knows what comes first
            self.line("except _Skip:", 1)
            self.line("_bail()" if self.statements else "continue", -1)
        else:
            self.line("except _Skip: continue")
        self.line("add_source(i); add_element(j)")
        self.depth -= 1
        self.line("if len(payloads) == n: filtered(i)")

    def _all(self, shape: Shape) -> Iterator[nodes.Expr]:
        for tree in (shape.root, shape.key):
            if tree is not None:
                yield from expressions(tree)

    def _payload(self, shape: Shape) -> None:
        payload = self._tree(shape.root)
        if not shape.any_root and not isinstance(shape.root, MapOf | Literal):
            self.line(f"p = {payload.text}")
            self.line("if p.__class__ is not dict: _bail()")
            payload = Code("p")
        if shape.key is None:
            self.line(f"add({payload.text})")
            return
        self.line(f"p = {payload.text}")
        self.line(f"k = {self._optional(shape.key).text}")
        self.line("add(p); add_key(k)")

    def _optional(self, tree: Tree) -> Code:
        """A value that must be one."""
        code = self._tree(tree)
        return Code(f"_demand({code.text})") if self._may_omit(tree) else code

    # --- trees

    def _may_omit(self, tree: Tree) -> bool:
        return isinstance(tree, Expression) and decides(tree.node, self.emitter.omitting)

    def _tree(self, tree: Tree) -> Code:
        if isinstance(tree, Literal):
            value = tree.value
            simple = value is None or value.__class__ in (str, int, float, bool)
            return self.emitter._held(value) if simple else Code(self.emitter.bind(value))
        if isinstance(tree, Expression):
            return self.emitter.result(tree.node)
        if isinstance(tree, Text):
            return self._text(tree)
        if isinstance(tree, MapOf):
            return self._map(tree)
        return self._list(tree) if isinstance(tree, ListOf) else self._each(tree)

    def _text(self, tree: Text) -> Code:
        parts = [Code(ascii(part), "str") if isinstance(part, str) else self._part(part) for part in tree.parts]
        return self.emitter.joined(parts)

    def _part(self, node: nodes.Expr) -> Code:
        code = self.emitter.result(node)
        return Code(f"_demand({code.text})") if decides(node, self.emitter.omitting) else code

    def _map(self, tree: MapOf) -> Code:
        if not any(self._may_omit(member) for _, member in tree.entries):
            entries = [f"{key!a}: {self._tree(member).text}" for key, member in tree.entries]
            return Code("{" + ", ".join(entries) + "}")
        first = next(at for at, (_, member) in enumerate(tree.entries) if self._may_omit(member))
        local = self._open(self._map(MapOf(tree.entries[:first], tree.path)).text)
        for key, member in tree.entries[first:]:
            self._put(member, f"{local}[{key!a}] = ", "")
        return Code(local)

    def _list(self, tree: ListOf) -> Code:
        if not any(self._may_omit(member) for member in tree.members):
            return Code("[" + ", ".join(self._tree(member).text for member in tree.members) + "]")
        local = self._open("[]")
        for member in tree.members:
            self._put(member, f"{local}.append(", ")")
        return Code(local)

    def _open(self, display: str) -> str:
        """A local that holds what is written so far; statements add to it."""
        self.statements = True
        local = self.emitter.temp()
        self.line(f"{local} = {display}")
        return local

    def _put(self, member: Tree, before: str, after: str) -> str:
        """A statement that puts a value somewhere, unless it is omitted; the value's kind."""
        code = self._tree(member)
        if not self._may_omit(member):
            self.line(f"{before}{code.text}{after}")
            return code.kind
        temp = self.emitter.temp()
        self.line(f"if ({temp} := {code.text}) is not _OMIT: {before}{temp}{after}")
        return ANY

    def _each(self, tree: Each) -> Code:
        emitter = self.emitter
        members, name = self._optional(tree.members), emitter.temp()
        before = emitter.locals.get(tree.name)
        local = self._open("[]")
        self.line(f"for {name} in {self._walked(members)}:", 1)
        emitter.locals[tree.name] = Code(name)
        kind = self._put(tree.value, f"{local}.append(", ")")
        self.depth -= 1
        del emitter.locals[tree.name]
        if before is not None:
            emitter.locals[tree.name] = before
        return Code(local, NUMS if kind == NUM else ANY)

    def _walked(self, members: Code) -> str:
        """A local that holds a list to go through; all lists of a record share the bound of the reference."""
        local = self.emitter.temp()
        self.line(f"if ({local} := {members.text}).__class__ is not list: _bail()")
        self.line(f"walked += len({local})")
        self.line(f"if walked > {MAX_MEMBERS}: _bail()")
        return local


def _mentions(text: str, name: str) -> bool:
    """Is the local read anywhere? (More than is needed does no harm.)"""
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        if not text[end : end + 1].isalnum():
            return True
        at = text.find(name, end)
    return False
