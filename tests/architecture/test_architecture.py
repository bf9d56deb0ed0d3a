"""How the code is laid out: imports point down, functions stay short, chance and console have their one place."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    "common",
    "model",
    "agents",
    "incidents",
    "scenario",
    "plant",
    "engine",
    "runs",
    "reports",
    "sweeps",
    "cli",
    "export",
    "sweep",
    "report",
    "quality",
)
"""The rooms of sim from the ground up: each imports itself and what stands before it (docs/architecture.md)."""

TRAINING_USES = ("sim.common.", "sim.model.", "sim.runs.", "sim.incidents.catalogue.")
PUBLIC_FACE = "sim/__init__.py"
"""Offers names of all rooms and imports none; the annotations of its own names are for type checkers only."""

READS_A_USERS_DOCUMENT = {
    "__getattr__", "run_sim", "load_scenario", "run", "parse_scenario", "parse_yaml", "parse_seeds", "read_setting",
    "put_value", "drop", "import_optional",
}  # fmt: skip
"""What passes on keys of a scenario, looks at a document that may hold anything, or gives a module without types."""

GENERATOR = "training/synthetic_data_generator.py"
OF_BENCHMARKS = (
    "tests/training/test_evaluation_page.py", "tests/architecture/test_mutants.py", "tests/statistical/test_quality.py",
    "tests/statistical/test_quality_seeds.py",
    "tests/training/test_judge.py",
)  # fmt: skip
MAX_FUNCTION_LINES = 40


def files(*tops):
    """Return the paths of all modules under some folders, relative to the project."""
    found = [p.relative_to(ROOT).as_posix() for top in tops for p in sorted((ROOT / top).rglob("*.py"))]
    assert all(any(name.startswith(f"{top}/") for name in found) for top in tops)
    return found


@cache
def tree(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


@cache
def nodes(name):
    return tuple(ast.walk(tree(name)))


def imports(name):
    """Return every module that a file imports, also inside functions, with what it takes of packages spelled out."""
    found = set()
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}:{node.lineno}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(module):
    """Return the height of the room of a dotted module or a path in sim; its version stands below all."""
    parts = module.removesuffix(".py").replace("/", ".").split(".")
    return ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in ROOMS else -1


def dotted(node):
    """Return `a.b.c` of an expression, or nothing where it is no name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(name):
    return [(dotted(node.func), node.lineno) for node in nodes(name) if isinstance(node, ast.Call)]


def speaks_or_exits(called):
    return called in {"print", "exit", "quit", "input", "sys.exit", "os._exit", "click.echo", "click.secho"} or (
        called.endswith(".print") or called.startswith(("sys.stdout", "sys.stderr"))
    )


def functions(name):
    return [n for n in nodes(name) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_every_module_of_the_simulator_is_in_a_room():
    parts = {name.split("/")[1].removesuffix(".py") for name in files("sim")} - {"__init__"}
    assert parts == set(ROOMS)


def test_imports_point_down():
    for name in set(files("sim")) - {PUBLIC_FACE}:
        above = {m for m in imports(name) if m.split(".")[0] == "sim" and room(m) > room(name)}
        assert not above, f"{name}: {above}"
    for name in files("sim"):
        assert not {m for m in imports(name) if m.split(".")[0] in ("training", "api", "tests", "benchmarks")}, name


def test_tests_stand_on_the_package_and_only_those_of_the_benchmarks_own_pages_and_tables_on_the_benchmarks():
    for name in files("tests"):
        if name not in OF_BENCHMARKS:
            assert not {m for m in imports(name) if m.split(".")[0] == "benchmarks"}, name


def test_no_module_imports_itself_in_a_circle():
    """Within a room too: what is imported only for types counts."""
    graph = {}
    for name in files("sim", "training", "api"):
        own = name.removesuffix(".py").replace("/", ".")
        known = {m for module in imports(name) for m in (module, module.rpartition(".")[0])}
        graph[own] = {m for m in known if (ROOT / f"{m.replace('.', '/')}.py").is_file() and m != own}
    done = set()
    while loose := {m for m, needs in graph.items() if m not in done and needs & graph.keys() <= done}:
        done |= loose
    assert not graph.keys() - done


def test_only_agents_incidents_and_engine_know_processes():
    for name in files("sim"):
        if name.split("/")[1] not in ("agents", "incidents", "engine"):
            assert not {m for m in imports(name) if m.split(".")[0] == "simpy"}, name


def test_training_stands_on_the_model_of_a_hall_and_its_runs():
    for name in files("training"):
        taken = {m for m in imports(name) if m.split(".")[0] == "sim"}
        assert "api" not in {m.split(".")[0] for m in imports(name)}, name
        if name != GENERATOR:
            assert all(m.startswith(TRAINING_USES) for m in taken), name
        assert not {m for m in taken if any(part.startswith("_") for part in m.split("."))}, name


def lines_beside_its_docstring(function):
    first = function.body[0]
    told = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0
    return function.end_lineno - function.lineno + 1 - told


def test_no_function_is_longer_than_40_lines_beside_its_docstring():
    every = [(f"{name}: {f.name}", f) for name in files("sim", "training", "api") for f in functions(name)]
    lines = [(name, lines_beside_its_docstring(function)) for name, function in every]
    assert [(name, count) for name, count in lines if count > MAX_FUNCTION_LINES] == []


def test_no_module_has_a_generator_of_its_own_or_uses_a_global_one():
    made_here = ("Generator", "PCG64DXSM", "SeedSequence", "default_rng")
    for name in files("sim", "training"):
        assert "random" not in {m.split(".")[0] for m in imports(name)}, name
        for called, line in calls(name):
            if ".random." in called and called.split(".")[0] in ("np", "numpy"):
                assert called.split(".")[-1] in made_here, f"{name}:{line}: {called} draws from the global generator"
        inside = {node for function in functions(name) for node in ast.walk(function)}
        outside = [n for n in nodes(name) if isinstance(n, ast.Call) and n not in inside]
        assert not [n.lineno for n in outside if dotted(n.func).split(".")[-1] in made_here], name


def test_only_the_named_streams_make_generators():
    for name in files("sim"):
        made = [called for called, _ in calls(name) if ".random." in called and called.startswith("np.")]
        assert not made or name == "sim/common/streams.py", name


def test_an_assertion_only_tells_the_type_checker_what_was_made_sure_of_before():
    for name in files("sim", "training"):
        for node in nodes(name):
            if isinstance(node, ast.Assert):
                assert name.startswith("training/"), f"{name}:{node.lineno}"
                assert ast.unparse(node.test).endswith(" is not None"), f"{name}:{node.lineno}"


def test_only_the_command_line_prints_or_exits():
    for name in files("sim"):
        spoken = [(called, line) for called, line in calls(name) if speaks_or_exits(called)]
        assert not spoken or name.startswith("sim/cli/"), (name, spoken)
        raised = [n for n in nodes(name) if isinstance(n, ast.Raise) and "SystemExit" in ast.unparse(n)]
        assert not raised, name


def test_training_speaks_and_exits_in_its_commands_only():
    for name in files("training"):
        commands = [f for f in functions(name) if any("click.command" in ast.unparse(d) for d in f.decorator_list)]
        inside = {node for command in commands for node in ast.walk(command)}
        for node in nodes(name):
            if isinstance(node, ast.Call) and speaks_or_exits(dotted(node.func)):
                assert node in inside or name == "training/console.py", f"{name}:{node.lineno}"


def test_nothing_happens_at_import_but_definitions():
    """No registries filled by import, no counters, nothing at exit."""
    for name in files("sim"):
        for called, line in calls(name):
            assert called.split(".")[0] != "atexit", f"{name}:{line}"
        for function in functions(name):
            assert not [n for n in ast.walk(function) if isinstance(n, ast.Global)], f"{name}: {function.name}"


def public_functions(body):
    """Yield the functions of a module's or public class's body that others may call."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.startswith("__")):
            yield node


def says_anything(annotation):
    """Return whether `Any` stands in an annotation, but for values of a document or the dtype of an array."""
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value) == "npt.NDArray":
        return False
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value) in {"dict", "Mapping"}:
        return ast.unparse(annotation.slice) not in {"(str, Any)", "str, Any"} and says_anything(annotation.slice)
    return dotted(annotation) == "Any" or any(map(says_anything, ast.iter_child_nodes(annotation)))


def test_no_public_boundary_of_sim_takes_or_gives_anything_but_a_users_document():
    vague = []
    for name in files("sim"):
        for function in public_functions(tree(name).body):
            of = function.args
            arguments = [*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg]
            annotations = [a.annotation for a in arguments if a is not None] + [function.returns]
            if (
                any(says_anything(a) for a in annotations if a is not None)
                and function.name not in READS_A_USERS_DOCUMENT
            ):
                vague.append(f"{name}:{function.lineno} {function.name}")
    assert vague == []
