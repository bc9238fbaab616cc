"""The promises of the code to its readers: order of the shelves, abstract or final, names and docstrings."""

import ast
from pathlib import Path

import pytest

import equivax

ROOT = Path(equivax.__file__).parent
SHELVES = ["geometry", "symmetry", "fields", "dynamics", "laws", "data", "tasks"]
FILES = sorted(p for p in ROOT.rglob("*.py"))
TREES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in FILES}
# A field has two: what it is, and under which action. Nothing has more than six.
FEWEST, MOST = 2, 6


def shelf_of(path: Path) -> str | None:
    return path.parts[0] if len(path.parts) > 1 else None


def nodes(kind):
    return [(path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kind)]


CLASSES = {node.name: (path, node) for path, node in nodes(ast.ClassDef)}


def name(node: ast.expr) -> str:
    """The last name of a dotted expression, without subscripts."""
    if isinstance(node, ast.Subscript | ast.Call):
        return name(node.value if isinstance(node, ast.Subscript) else node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_there_are_seven_shelves_of_two_levels():
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()} == set(SHELVES)
    assert max(len(path.parts) for path in TREES) == 2
    assert all(path.name.startswith("_") for path in TREES), "files are private, shelves are public"


@pytest.mark.parametrize("path", TREES, ids=str)
def test_imports_follow_the_order_of_the_shelves(path):
    shelf = shelf_of(path)
    if shelf is None:
        return
    above = set(SHELVES[: SHELVES.index(shelf)]) | {"_types", "_numerics", "_rotations"}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "equivax" for alias in node.names), "import relatively"
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__"
            assert node.level <= 2
            assert node.level or node.module.split(".")[0] != "equivax", "import relatively"
            if node.level == 2:
                root = [node.module] if node.module else [alias.name for alias in node.names]
                # The version is the one thing that the root itself has.
                assert all(r in above or r == "__version__" for r in root), f"{path} imports {root}"
                assert node.module is None or "." not in node.module, "shelves are imported whole, not their files"


def test_shelves_re_export_by_name():
    for path, tree in TREES.items():
        if path.name == "__init__.py":
            assert ast.get_docstring(tree), path
            for node in tree.body:
                if isinstance(node, ast.ImportFrom) and node.level:
                    assert all(alias.asname == alias.name for alias in node.names), f"{path}: from . import X as X"


def test_classes_are_abstract_or_final():
    for path, node in nodes(ast.ClassDef):
        for base in map(name, node.bases):
            if base in CLASSES and not is_exception(base):
                assert base.startswith("Abstract"), f"{path}: {node.name} inherits from {base}, which is concrete"


def is_exception(class_name: str) -> bool:
    if class_name not in CLASSES:
        return class_name.endswith(("Error", "Exception", "Warning"))
    return any(is_exception(name(base)) for base in CLASSES[class_name][1].bases)


def test_abstract_classes_have_few_abstract_members():
    found = 0
    for path, node in nodes(ast.ClassDef):
        decorators = [name(d) for member in node.body for d in getattr(member, "decorator_list", [])]
        # Anywhere in the class: some stand in the branch that the type checker does not see.
        variables = [m for m in ast.walk(node) if isinstance(m, ast.AnnAssign) and name(m.annotation) == "AbstractVar"]
        count = decorators.count("abstractmethod") + len(variables)
        if node.name.startswith("Abstract"):
            assert FEWEST <= count <= MOST, f"{path}: {node.name} has {count} abstract members"
            found += 1
        else:
            assert count == 0, f"{path}: {node.name} has abstract members and a name that does not say so"
    assert found >= 6


def test_public_names_have_docstrings():
    documented = {}
    for path, node in nodes(ast.ClassDef | ast.FunctionDef):
        documented[(path, node.name)] = ast.get_docstring(node) is not None
    for path, tree in TREES.items():
        if path.name != "__init__.py" or not shelf_of(path):
            continue
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                source = path.parent / f"{node.module}.py"
                for alias in node.names:
                    # Constants are explained by the comment above them.
                    assert documented.get((source, alias.name), alias.name.isupper()), f"{source}: {alias.name}"


def test_only_the_tasks_print():
    for path, node in nodes(ast.Call):
        if shelf_of(path) != "tasks":
            assert name(node.func) != "print" or not isinstance(node.func, ast.Name), f"{path}:{node.lineno}"


def test_files_are_short():
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 400, path
