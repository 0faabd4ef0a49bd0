"""House rules as tests: layers, torch-free core, one clock, file and function length, everything named is described."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from stretto.core import registry
from stretto.core.config import Config, Configurable

SRC = Path(__file__).parents[1] / "src" / "stretto"
FILES = sorted(SRC.rglob("*.py"))
LAYERS = [
    {"cli"},
    {"web"},
    {"recipes"},
    {"train", "bench"},
    {"sessions"},
    {"agents"},
    {"listen", "look", "think", "speak", "act", "world_models", "runtime", "envs", "data"},
    {"nn"},
    {"core"},
]
TORCH_FREE = {"core", "runtime", "envs", "data", "cli"}


def level(package):
    return next(index for index, layer in enumerate(LAYERS) if package in layer)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.module}"


def name(path):
    return str(path.relative_to(SRC))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_down_the_layers_and_never_across(path):
    package = path.relative_to(SRC).parts[0]
    if package == "__init__.py":
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "stretto" or len(parts) == 1 or parts[1] == package:
            continue
        assert level(parts[1]) > level(package), f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_runs_beside_the_robot_imports_no_torch_and_no_networks(path):
    if path.relative_to(SRC).parts[0] in TORCH_FREE:
        assert not [m for m in imports(path) if m.split(".")[0] in ("torch", "transformers") or "stretto.nn" in m]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_clock_and_the_benchmarks_read_the_time(path):
    if path.relative_to(SRC).parts[0] == "bench" or name(path) == "core/clock.py":
        return
    assert not {"time", "datetime"} & set(imports(path)), name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_short(path):
    source = path.read_text()
    assert source.count("\n") <= 400, f"{name(path)} is too long"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{name(path)}: {node.name} has {length} lines"
            if node.name == "__init__":
                assert len(node.args.args) <= 9, f"{name(path)}: a constructor of {len(node.args.args)} arguments"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_opens_with_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text())), name(path)


@pytest.mark.parametrize("kind", registry.TABLE)
def test_everything_with_a_name_is_there_and_described(kind):
    for entry in registry.names(kind):
        assert len(registry.describe(kind, entry)) > 40
        owner = registry.load(kind, entry)
        if kind != "benchmark":
            assert issubclass(owner, Configurable)
            assert dataclasses.is_dataclass(owner.Config)
            assert issubclass(owner.Config, Config)
            assert owner.Config.tiny() == owner.Config.tiny()


def test_listing_and_help_import_neither_torch_nor_mujoco_nor_numpy():
    code = (
        "import sys\n"
        "from stretto.cli.main import main\n"
        "assert main(['list']) == 0 and main([]) == 0\n"
        "heavy = {'torch', 'mujoco', 'numpy', 'onnxruntime', 'robosuite'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_config_must_be_frozen_and_keyword_only():
    with pytest.raises(TypeError, match="frozen=True, kw_only=True"):

        class Loose(Configurable):
            @dataclasses.dataclass(frozen=True)
            class Config(Config):
                size: int = 1


def test_the_parts_page_is_fresh():
    from stretto.cli.list_ import markdown

    page = Path(__file__).parents[1] / "docs" / "parts.md"
    assert page.read_text() == markdown(list(registry.TABLE)), "run: stretto list --markdown > docs/parts.md"
