"""DynamoDB's expressions, for top-level attributes: conditions, filters, key conditions, updates, projections.

Each text is parsed once. "Expressions" in the DynamoDB Developer Guide has the grammar. What is not played, such as
paths into documents, raises NotImplementedError.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Item = dict[str, Any]
"""DynamoDB's typed JSON: `{"pk": {"S": "task#…"}, …}`."""

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),+-]|[#:]?\w+)")
_COMPARATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}
_ORDERED = frozenset("SNB")
_FUNCTIONS = frozenset({"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"})
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "SET", "ADD", "REMOVE", "DELETE"})


class InvalidExpressionError(ValueError):
    """DynamoDB would refuse it with a ValidationException."""


class Node(NamedTuple):
    """A part of an expression: an operator or function and what it is applied to, or a `name` or `value` token."""

    kind: str
    parts: tuple[Any, ...]


class Scope(NamedTuple):
    """What an expression's tokens stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Any]

    def name(self, token: str) -> str:
        if not token.startswith("#"):
            return token
        if token not in self.names:
            raise InvalidExpressionError(f"An expression attribute name used is not defined: {token}")
        return self.names[token]

    def value(self, token: str) -> Any:
        if token not in self.values:
            raise InvalidExpressionError(f"An expression attribute value used is not defined: {token}")
        return self.values[token]


def holds(expression: str, scope: Scope, item: Item) -> bool:
    """Whether a condition or filter holds for an item; `{}` for one that does not exist."""
    return _holds(condition(expression), scope, item)


@cache
def condition(expression: str) -> Node:
    """The parsed text of a condition, filter or key condition."""
    return _Parser(expression).condition()


@cache
def placeholders(expression: str) -> frozenset[str]:
    """The `#names` and `:values` that a text uses."""
    return frozenset(token for token in _tokens(expression) if token[0] in "#:")


def projected(expression: str, scope: Scope, item: Item) -> Item:
    """The attributes of an item that a projection names."""
    wanted = {scope.name(token) for token in _tokens(expression) if token != ","}
    return {name: value for name, value in item.items() if name in wanted}


def updated(expression: str, scope: Scope, item: Item) -> Item:
    """An item after an update; the one given stays as it is, and is what all of the update's operands are read from."""
    after = dict(item)
    for action, token, operand in _actions(expression):
        name = scope.name(token)
        if action == "REMOVE":
            after.pop(name, None)
        elif action == "SET":
            after[name] = _operand(operand, scope, item)
        else:
            _add_or_delete(action, after, name, scope.value(operand.parts[0]))
    return after


@cache
def changed_names(expression: str) -> tuple[str, ...]:
    """The name tokens that an update sets, adds to or removes."""
    return tuple(token for _, token, _ in _actions(expression))


def plain(value: Mapping[str, Any]) -> tuple[str, Any]:
    """A typed value's type, and its value in a form that compares as DynamoDB compares."""
    ((kind, content),) = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind in {"SS", "NS", "BS"}:
        return kind, frozenset(content if kind != "NS" else map(Decimal, content))
    return kind, content


def _holds(node: Node, scope: Scope, item: Item) -> bool:  # noqa: PLR0911 - one for each kind of node
    kind, parts = node
    match kind:
        case "AND":
            return all(_holds(part, scope, item) for part in parts)
        case "OR":
            return any(_holds(part, scope, item) for part in parts)
        case "NOT":
            return not _holds(parts[0], scope, item)
        case "attribute_exists":
            return scope.name(parts[0].parts[0]) in item
        case "attribute_not_exists":
            return scope.name(parts[0].parts[0]) not in item
    operands = [_operand(part, scope, item, missing=None) for part in parts]
    if kind == "IN":
        return any(_compared("=", operands[0], other) for other in operands[1:])
    if kind == "BETWEEN":
        return _compared(">=", operands[0], operands[1]) and _compared("<=", operands[0], operands[2])
    return _compared(kind, *operands)


def _compared(operator: str, left: Any, right: Any) -> bool:  # noqa: PLR0911 - one for each operator
    if left is None or right is None:
        return operator == "<>"
    (kind, a), (other, b) = plain(left), plain(right)
    match operator:
        case "=":
            return bool(kind == other and a == b)
        case "<>":
            return bool(kind != other or a != b)
        case "begins_with":
            return bool(kind == other and kind in "SB" and a.startswith(b))
        case "attribute_type":
            return bool(kind == b)
        case "contains":
            return bool(right in a if kind == "L" else (kind in {other, other + "S"} and b in a))
    return kind == other and kind in _ORDERED and _COMPARATORS[operator](a, b)


_REQUIRED: Any = object()


def _operand(node: Node, scope: Scope, item: Item, missing: Any = _REQUIRED) -> Any:
    kind, parts = node
    match kind:
        case "value":
            return scope.value(parts[0])
        case "name":
            found = item.get(scope.name(parts[0]), missing)
            if found is _REQUIRED:
                raise InvalidExpressionError("The provided expression refers to an attribute that does not exist")
            return found
        case "if_not_exists":
            return _operand(parts[0], scope, item, _operand(parts[1], scope, item))
        case "size":
            sized = _operand(parts[0], scope, item, missing=None)
            if sized is None:
                return None
            ((_, content),) = sized.items()
            return {"N": str(len(content.encode() if isinstance(content, str) else content))}
        case "+" | "-":
            a, b = (_number(_operand(part, scope, item)) for part in parts)
            return {"N": _text(a + b if kind == "+" else a - b)}
    raise NotImplementedError(f"the operand {kind}")


def _add_or_delete(action: str, item: Item, name: str, value: Any) -> None:
    ((kind, content),) = value.items()
    if action == "ADD" and kind == "N":
        item[name] = {"N": _text(_number(item.get(name, {"N": "0"})) + Decimal(content))}
        return
    if kind not in {"SS", "NS", "BS"} or (name in item and kind not in item[name]):
        raise InvalidExpressionError(f"Incorrect operand type for operator or function; operator: {action}")
    there = item.get(name, {kind: []})[kind]
    if action == "ADD":
        item[name] = {kind: [*there, *(entry for entry in content if entry not in there)]}
    elif left := [entry for entry in there if entry not in content]:
        item[name] = {kind: left}
    else:
        item.pop(name, None)


def _number(value: Mapping[str, Any]) -> Decimal:
    if "N" not in value:
        raise InvalidExpressionError("An operand in the update expression has an incorrect data type")
    return Decimal(value["N"])


def _text(number: Decimal) -> str:
    return format(number, "f")


@cache
def _tokens(expression: str) -> Sequence[str]:
    found, at = [], 0
    text = expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotImplementedError(f"this part of an expression: {text[at:]}")
        found.append(match[1])
        at = match.end()
    return found


@cache
def _actions(expression: str) -> Sequence[tuple[str, str, Node]]:
    """The update's actions: which, the token of the name, the operand (none matters for REMOVE)."""
    return _Parser(expression).update()


@cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = [*_tokens(expression), ""]
        self._at = 0

    def condition(self) -> Node:
        parsed = self._either()
        self._expect("")
        return parsed

    def update(self) -> Sequence[tuple[str, str, Node]]:
        actions = []
        while action := self._next().upper():
            if action not in {"SET", "ADD", "REMOVE", "DELETE"}:
                raise self._invalid()
            while True:
                name = self._name()
                if action == "SET":
                    self._expect("=")
                actions.append((action, name.parts[0], name if action == "REMOVE" else self._sum()))
                if self._peek() != ",":
                    break
                self._next()
        return actions

    def _either(self) -> Node:
        return self._joined("OR", lambda: self._joined("AND", self._negated))

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._peek().upper() == word:
            self._next()
            parts.append(part())
        return Node(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _negated(self) -> Node:
        if self._peek().upper() == "NOT":
            self._next()
            return Node("NOT", (self._negated(),))
        if self._peek() == "(":
            self._next()
            inner = self._either()
            self._expect(")")
            return inner
        if self._peek() in _FUNCTIONS:
            function = self._next()
            return Node(function, self._arguments())
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._operand()
        operator = self._next().upper()
        if operator == "IN":
            return Node("IN", (left, *self._arguments()))
        if operator == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            return Node("BETWEEN", (left, low, self._operand()))
        if operator not in {"=", "<>", *_COMPARATORS}:
            raise self._invalid()
        return Node(operator, (left, self._operand()))

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        arguments = [self._operand()]
        while self._peek() == ",":
            self._next()
            arguments.append(self._operand())
        self._expect(")")
        return tuple(arguments)

    def _sum(self) -> Node:
        left = self._operand()
        if self._peek() in {"+", "-"}:
            return Node(self._next(), (left, self._operand()))
        return left

    def _operand(self) -> Node:
        if self._peek().startswith(":"):
            return Node("value", (self._next(),))
        if self._peek() in {"size", "if_not_exists"} and self._tokens[self._at + 1] == "(":
            function = self._next()
            return Node(function, self._arguments())
        return self._name()

    def _name(self) -> Node:
        token = self._next()
        if not token or not re.fullmatch(r"#?\w+", token) or token.upper() in _KEYWORDS:
            raise self._invalid()
        if token.upper() in _reserved():
            raise InvalidExpressionError(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return Node("name", (token,))

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if self._next().upper() != token:
            raise self._invalid()

    def _invalid(self) -> InvalidExpressionError:
        return InvalidExpressionError(f"Invalid expression: Syntax error; near: {self._expression!r}")
