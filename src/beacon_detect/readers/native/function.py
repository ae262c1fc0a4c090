"""One plain function on its way to LLVM assembly: statements, then values, then conditions.

Every variable has a place in memory, which LLVM turns into registers. Limit:
what is supported is listed in :mod:`lowering`; the rest is refused by name.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beacon_detect.readers.native.signature import NotPlainError, Signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARITHMETIC = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_ORDER = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge",
}  # fmt: skip


@dataclass(slots=True)
class Function:
    """One function on its way to assembly."""

    signature: Signature
    tree: ast.FunctionDef
    known: Mapping[str, Signature]
    scope: Mapping[str, Any]
    lines: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    loops: list[tuple[str, str]] = field(default_factory=list)
    """Labels of ``continue`` and ``break``, innermost last."""
    count: int = 0
    reached: bool = True
    """Whether the next instruction can be reached."""

    def text(self) -> str:
        """Return the whole function."""
        for name, bits in self.signature.parameters.items():
            if not bits:
                self.variables.add(name)
                self.emit(f"store i64 %{name}.value, ptr %{name}.var")
        self.body(self.tree.body)
        if self.reached:
            self.emit("ret void" if not self.signature.results else "unreachable")
        made = self.signature
        head = f"define internal {made.result_type} @{made.name}({made.declared()}) {{"
        places = [f"  %{name}.var = alloca i64" for name in sorted(self.variables)]
        return "\n".join([head, "entry:", *places, *self.lines, "}"])

    # Instructions

    def emit(self, instruction: str) -> None:
        """Add an instruction."""
        self.lines.append(f"  {instruction}")

    def value(self, instruction: str) -> str:
        """Add an instruction that has a result; return the result's name."""
        self.count += 1
        self.emit(f"%v{self.count} = {instruction}")
        return f"%v{self.count}"

    def label(self, what: str) -> str:
        """Return a new label."""
        self.count += 1
        return f"{what}{self.count}"

    def start(self, label: str) -> None:
        """Begin a block."""
        if self.reached:
            self.emit(f"br label %{label}")
        self.lines.append(f"{label}:")
        self.reached = True

    def leave(self, instruction: str) -> None:
        """End a block."""
        self.emit(instruction)
        self.reached = False

    def temporary(self) -> str:
        """Return a new variable for a value that comes from one of several blocks."""
        name = self.label("temporary")
        self.variables.add(name)
        return name

    def load(self, name: str) -> str:
        """Return the value of a variable."""
        return self.value(f"load i64, ptr %{name}.var")

    def store(self, name: str, value: str) -> None:
        """Set a variable."""
        self.variables.add(name)
        self.emit(f"store i64 {value}, ptr %{name}.var")

    def refused(self, node: ast.AST) -> NotPlainError:
        """Return the error that names what cannot be lowered."""
        return NotPlainError(f"{self.signature.name}: {ast.unparse(node)}")

    # Statements

    def body(self, statements: list[ast.stmt]) -> None:
        """Lower statements; what comes behind a return is left out."""
        for statement in statements:
            if self.reached:
                self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Lower one statement."""
        match node:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=ast.Call() as call):
                self.call(call)
            case ast.Assign():
                self.assign(node)
            case ast.AugAssign():
                spelled = ast.parse(ast.unparse(node.target), mode="eval").body
                self.put(node.target, self.expression(ast.BinOp(spelled, node.op, node.value)))
            case ast.If():
                self.choice(node)
            case ast.While():
                self.repeat(node)
            case ast.For():
                self.count_through(node)
            case ast.Return():
                self.result(node.value)
            case ast.Break():
                self.leave(f"br label %{self.loops[-1][1]}")
            case ast.Continue():
                self.leave(f"br label %{self.loops[-1][0]}")
            case _:
                raise self.refused(node)

    def assign(self, node: ast.Assign) -> None:
        """Lower an assignment to names and elements."""
        target = node.targets[0]
        if isinstance(target, ast.Tuple):
            for name, value in zip(target.elts, self.several(node.value), strict=True):
                self.put(name, value)
            return
        value = self.expression(node.value)
        for each in node.targets:
            self.put(each, value)

    def put(self, target: ast.expr, value: str) -> None:
        """Set a variable or an element of a column."""
        match target:
            case ast.Name(id=name):
                self.store(name, value)
            case ast.Subscript(value=ast.Name(id=name)):
                place, bits = self.place(name, target.slice)
                if bits < 64:
                    value = self.value(f"trunc i64 {value} to i{bits}")
                self.emit(f"store i{bits} {value}, ptr {place}")
            case _:
                raise self.refused(target)

    def choice(self, node: ast.If) -> None:
        """Lower ``if``."""
        yes, no, end = self.label("then"), self.label("else"), self.label("end")
        self.branch(node.test, yes, no)
        for label, statements in ((yes, node.body), (no, node.orelse)):
            self.start(label)
            self.body(statements)
            if self.reached:
                self.leave(f"br label %{end}")
        self.start(end)

    def repeat(self, node: ast.While) -> None:
        """Lower ``while``."""
        test, inside, end = self.label("while"), self.label("do"), self.label("done")
        self.start(test)
        self.branch(node.test, inside, end)
        self.start(inside)
        self.loops.append((test, end))
        self.body(node.body)
        self.loops.pop()
        if self.reached:
            self.leave(f"br label %{test}")
        self.start(end)

    def count_through(self, node: ast.For) -> None:
        """Lower ``for … in range``; the range is fixed when the loop begins."""
        call, target = node.iter, node.target
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "range" and isinstance(target, ast.Name)):  # fmt: skip
            raise self.refused(node)
        values = [self.expression(argument) for argument in call.args]
        begin, stop, step = ("0", *values, "1") if len(values) == 1 else (*values, "1")[:3]
        counter = self.temporary()
        self.store(counter, begin)
        test, inside, again, end = (self.label(w) for w in ("for", "do", "next", "done"))
        self.start(test)
        now = self.load(counter)
        order = "sgt" if step.startswith("-") else "slt"
        more = self.value(f"icmp {order} i64 {now}, {stop}")
        self.leave(f"br i1 {more}, label %{inside}, label %{end}")
        self.start(inside)
        self.store(target.id, now)
        self.loops.append((again, end))
        self.body(node.body)
        self.loops.pop()
        self.start(again)
        self.store(counter, self.value(f"add i64 {now}, {step}"))
        self.leave(f"br label %{test}")
        self.start(end)

    def result(self, value: ast.expr | None) -> None:
        """Lower ``return``."""
        if value is None:
            self.leave("ret void")
            return
        if self.signature.results == 1:
            self.leave(f"ret i64 {self.expression(value)}")
            return
        kind = self.signature.result_type
        whole = "undef"
        for i, part in enumerate(self.several(value)):
            whole = self.value(f"insertvalue {kind} {whole}, i64 {part}, {i}")
        self.leave(f"ret {kind} {whole}")

    # Values

    def several(self, node: ast.expr) -> list[str]:
        """Return the values of a tuple."""
        match node:
            case ast.Tuple():
                return [self.expression(part) for part in node.elts]
            case ast.Call():
                whole, called = self.call(node)
                kind = called.result_type
                return [self.value(f"extractvalue {kind} {whole}, {i}") for i in range(called.results)]  # fmt: skip
            case ast.IfExp(body=ast.Tuple() as body):
                names = [self.temporary() for _ in body.elts]
                for branch in self.branches(node):
                    for name, value in zip(names, self.several(branch), strict=True):
                        self.store(name, value)
                return [self.load(name) for name in names]
            case _:
                raise self.refused(node)

    def branches(self, node: ast.IfExp) -> Iterator[ast.expr]:
        """Yield both sides of a conditional expression, each in its own block."""
        yes, no, end = self.label("then"), self.label("else"), self.label("end")
        self.branch(node.test, yes, no)
        self.start(yes)
        yield node.body
        self.leave(f"br label %{end}")
        self.start(no)
        yield node.orelse
        self.start(end)

    def expression(self, node: ast.expr) -> str:
        """Return the value of an expression."""
        match node:
            case ast.Constant(value=int(number)):
                return str(int(number))
            case ast.Name(id=name):
                return self.named(name, node)
            case ast.BinOp():
                return self.arithmetic(node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return str(-number)
            case ast.UnaryOp(op=ast.USub()):
                return self.value(f"sub i64 0, {self.expression(node.operand)}")
            case ast.Subscript(value=ast.Name(id=name)):
                place, bits = self.place(name, node.slice)
                found = self.value(f"load i{bits}, ptr {place}")
                widen = "zext" if bits == 8 else "sext"
                return found if bits == 64 else self.value(f"{widen} i{bits} {found} to i64")
            case ast.Call():
                return self.call(node)[0]
            case ast.IfExp():
                name = self.temporary()
                for branch in self.branches(node):
                    self.store(name, self.expression(branch))
                return self.load(name)
            case ast.BoolOp():
                return self.first_that_decides(node)
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return self.truth(node)
            case _:
                raise self.refused(node)

    def named(self, name: str, node: ast.expr) -> str:
        """Return the value of a variable or of a constant of the module."""
        if name in self.variables:
            return self.load(name)
        value = self.scope.get(name)
        if not isinstance(value, int):
            raise self.refused(node)
        return str(int(value))

    def arithmetic(self, node: ast.BinOp) -> str:
        """Return the value of an operation on two integers."""
        left, right = self.expression(node.left), self.expression(node.right)
        if isinstance(node.op, ast.FloorDiv | ast.Mod):
            sign = "//" if isinstance(node.op, ast.FloorDiv) else "%"
            return self.value(f'call i64 @"{sign}"(i64 {left}, i64 {right})')
        operation = _ARITHMETIC.get(type(node.op))
        if operation is None:
            raise self.refused(node)
        return self.value(f"{operation} i64 {left}, {right}")

    def place(self, name: str, index: ast.expr) -> tuple[str, int]:
        """Return where an element of a column is, and its bits."""
        bits = self.signature.parameters.get(name, 0)
        if not bits:
            raise self.refused(index)
        at = self.expression(index)
        return self.value(f"getelementptr i{bits}, ptr %{name}.at, i64 {at}"), bits

    def first_that_decides(self, node: ast.BoolOp) -> str:
        """Return the operand of ``and`` or ``or`` that decides, as Python does."""
        name, end = self.temporary(), self.label("end")
        for each in node.values[:-1]:
            onward = self.label("and")
            self.store(name, self.expression(each))
            found = self.value(f"icmp ne i64 {self.load(name)}, 0")
            yes, no = (onward, end) if isinstance(node.op, ast.And) else (end, onward)
            self.leave(f"br i1 {found}, label %{yes}, label %{no}")
            self.start(onward)
        self.store(name, self.expression(node.values[-1]))
        self.start(end)
        return self.load(name)

    def truth(self, node: ast.expr) -> str:
        """Return 1 or 0."""
        name = self.temporary()
        yes, no, end = self.label("true"), self.label("false"), self.label("end")
        self.branch(node, yes, no)
        for label, value in ((yes, "1"), (no, "0")):
            self.start(label)
            self.store(name, value)
            self.leave(f"br label %{end}")
        self.start(end)
        return self.load(name)

    def branch(self, node: ast.expr, yes: str, no: str) -> None:
        """Go to ``yes`` or ``no``; what decides nothing more is not evaluated."""
        match node:
            case ast.BoolOp(op=operation, values=values):
                for each in values[:-1]:
                    onward = self.label("and")
                    both = isinstance(operation, ast.And)
                    self.branch(each, *((onward, no) if both else (yes, onward)))
                    self.start(onward)
                self.branch(values[-1], yes, no)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.branch(operand, no, yes)
            case ast.Compare():
                self.compare(node, yes, no)
            case _:
                found = self.value(f"icmp ne i64 {self.expression(node)}, 0")
                self.leave(f"br i1 {found}, label %{yes}, label %{no}")

    def compare(self, node: ast.Compare, yes: str, no: str) -> None:
        """Go to ``yes`` or ``no`` by a comparison, chained or not."""
        left = self.expression(node.left)
        for i, (operation, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if isinstance(operation, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
                found = "0"
                for part in right.elts:
                    same = self.value(f"icmp eq i64 {left}, {self.expression(part)}")
                    found = self.value(f"or i1 {found}, {same}")
                if isinstance(operation, ast.NotIn):
                    found = self.value(f"xor i1 {found}, 1")
            elif type(operation) in _ORDER:
                other = self.expression(right)
                found = self.value(f"icmp {_ORDER[type(operation)]} i64 {left}, {other}")
                left = other
            else:
                raise self.refused(node)
            onward = yes if i == len(node.ops) - 1 else self.label("chain")
            self.leave(f"br i1 {found}, label %{onward}, label %{no}")
            if onward != yes:
                self.start(onward)

    def call(self, node: ast.Call) -> tuple[str, Signature]:
        """Call a function of the module, or ``min``, ``max`` or ``len``."""
        name = ast.unparse(node.func)
        if name == "len" and isinstance(node.args[0], ast.Name):
            return f"%{node.args[0].id}.size", _ONE
        if name in {"min", "max"} and len(node.args) == 2:
            left, right = (self.expression(argument) for argument in node.args)
            less = self.value(f"icmp {'sle' if name == 'min' else 'sge'} i64 {left}, {right}")
            return self.value(f"select i1 {less}, i64 {left}, i64 {right}"), _ONE
        called = self.known.get(name)
        if called is None:
            raise self.refused(node)
        passed = []
        for (parameter, bits), given in zip(called.parameters.items(), node.args, strict=True):
            if not bits:
                passed.append(f"i64 {self.expression(given)}")
            elif isinstance(given, ast.Name) and self.signature.parameters.get(given.id) == bits:
                passed.append(f"ptr %{given.id}.at, i64 %{given.id}.size")
            else:
                raise NotPlainError(f"{self.signature.name}: {parameter} of {name}")
        instruction = f"call {called.result_type} @{name}({', '.join(passed)})"
        if called.results:
            return self.value(instruction), called
        self.emit(instruction)
        return "", called


_ONE = Signature("", {}, 1)
