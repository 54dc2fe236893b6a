"""The keys that describe a run, at the top level and for each entrypoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.config.capabilities import parse_capability
from pytest_mlcontainer.config.keys import ENTRYPOINT_KEYS, entrypoint_remedy
from pytest_mlcontainer.config.needs import check_needs
from pytest_mlcontainer.config.paths import (
    parse_container_path,
    parse_output_glob,
    parse_project_path,
    parse_workdir,
)
from pytest_mlcontainer.config.patterns import check_replacement, parse_regex
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.rules import read_rules
from pytest_mlcontainer.config.secrets import note_secrets, read_secrets
from pytest_mlcontainer.config.targets import NO_GPU, parse_gpus
from pytest_mlcontainer.config.values import (
    parse_arguments,
    parse_budget,
    parse_choice,
    parse_cpus,
    parse_duration,
    parse_exit_code,
    parse_file_count,
    parse_filled_text,
    parse_health,
    parse_log_limit,
    parse_memory,
    parse_port,
    parse_processes,
    parse_repeat,
    parse_seed,
    parse_shm_size,
    parse_size,
    parse_switch,
    parse_text,
    parse_user,
    parse_variable_name,
    parse_variation,
    parse_word,
)
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import ALL_VARIATIONS, Entrypoint, Limits, NeedsFrom, Pairs, Server


def read_run_keys(reader: TableReader, root: Path, base: Entrypoint) -> Entrypoint:
    """`base` with what the table says about a run; `env`, `secrets` and `names` are merged."""
    exit_codes = reader.read_list("exit-codes", parse_exit_code, base.exit_codes)
    if not exit_codes and reader.values.get("exit-codes") == []:
        reader.note("exit-codes", MlContainerError("is empty", "[]", "write [0], or remove it"))
    return replace(
        base,
        limits=_read_limits(reader, base.limits),
        env=_merged(base.env, reader.read_pairs("env", parse_variable_name, parse_text)),
        secrets=read_secrets(reader, root, base.secrets),
        workdir=reader.read("workdir", parse_workdir, base.workdir),
        writable=reader.read_list("writable", parse_container_path, base.writable),
        exit_codes=exit_codes,
        names=_merged(base.names, _read_names(reader)),
        repeat=reader.read("repeat", parse_repeat, base.repeat),
        vary=_read_vary(reader, base.vary),
        vary_budget=reader.read("vary-budget", parse_budget, base.vary_budget),
    )


def _read_limits(reader: TableReader, old: Limits) -> Limits:
    capabilities = reader.read_list("capabilities", parse_capability, old.capabilities)
    return Limits(
        timeout_s=reader.read("timeout", parse_duration, old.timeout_s),
        memory_bytes=reader.read("memory", parse_memory, old.memory_bytes),
        cpus=reader.read("cpus", parse_cpus, old.cpus),
        shm_size_bytes=reader.read("shm-size", parse_shm_size, old.shm_size_bytes),
        network=reader.read("network", parse_word, old.network),
        gpus=reader.read("gpus", _parse_gpus_or_none, old.gpus),
        user=reader.read("user", parse_user, old.user),
        processes=reader.read("processes", parse_processes, old.processes),
        log_bytes=reader.read("log-limit", parse_log_limit, old.log_bytes),
        output_bytes=reader.read("output-limit", parse_size, old.output_bytes),
        output_files=reader.read("output-files", parse_file_count, old.output_files),
        disk_bytes=reader.read("disk", parse_size, old.disk_bytes),
        capabilities=_once(capabilities),
        new_privileges=reader.read("new-privileges", parse_switch, old.new_privileges),
        privileged=reader.read("privileged", parse_switch, old.privileged),
        engine_socket=reader.read("engine-socket", parse_switch, old.engine_socket),
    )


def _read_vary(reader: TableReader, base: tuple[str, ...]) -> tuple[str, ...]:
    """`true` for all variations that apply, `false` for none, or their names."""
    value = reader.values.get("vary")
    if isinstance(value, bool):
        return ALL_VARIATIONS if value else ()
    if value is not None and not isinstance(value, (str, list)):
        what, remedy = "neither names nor a switch", 'write true, or names: ["threads", "user"]'
        reader.note("vary", MlContainerError(what, show(value), remedy))
        return base
    return _once(reader.read_list("vary", parse_variation, base))


def _parse_gpus_or_none(value: object) -> str | None:
    text = parse_gpus(parse_filled_text(value))
    return None if text == NO_GPU else text


def _merged(base: Pairs, changes: Pairs) -> Pairs:
    return tuple({**dict(base), **dict(changes)}.items())


def read_entrypoints(top: TableReader, root: Path, base: Entrypoint) -> tuple[Entrypoint, ...]:
    """Every entrypoint, with `base` as its default, in the order declared."""
    tables = top.table("entrypoints")
    entries: list[Entrypoint] = []
    readers: dict[str, TableReader] = {}
    for name, value in tables.values.items():
        if not isinstance(value, Mapping):
            remedy = f"write it as [tool.mlcontainer.entrypoints.{show_key(name)}]"
            problem = MlContainerError("an entrypoint has to be a table", show(value), remedy)
            tables.note(show_key(name), problem)
            continue
        if tables.check(show_key(name), _parse_name, name, None) is None:
            continue
        readers[name] = tables.table(name)
        entries.append(_read_entrypoint(readers[name], root, replace(base, name=name)))
    check_needs(entries, tuple(tables.values), readers)
    return tuple(entries)


def _parse_name(value: object) -> str:
    name = str(value)
    if name == "image":
        raise MlContainerError(
            "this name is taken by the image's own test", show(name), "choose another name"
        )
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise MlContainerError(
            "not a name for an entrypoint",
            show(name),
            "use letters, digits, _, - and . and begin with a letter, a digit or _",
        )
    return name


def _read_names(reader: TableReader) -> Pairs:
    """Regular expression → replacement."""
    pairs = []
    for pattern, replacement in reader.read_pairs("names", parse_regex, parse_text):
        try:
            check_replacement(pattern, replacement)
        except MlContainerError as problem:
            reader.note(f"names.{show_key(pattern)}", problem)
        else:
            pairs.append((pattern, replacement))
    return tuple(pairs)


def _read_entrypoint(reader: TableReader, root: Path, base: Entrypoint) -> Entrypoint:
    reader.refuse_unknown(
        ENTRYPOINT_KEYS, lambda key, value: entrypoint_remedy(base.name, key, value)
    )
    server = _read_server(reader)
    # A command that cannot be read is not also a missing one (which `host` would report).
    unread = ("…",) if "command" in reader.values else ()
    entry = replace(
        read_run_keys(reader, root, base),
        command=reader.read("command", parse_arguments, unread),
        entrypoint=reader.read("entrypoint", parse_arguments, None),
        inputs=_read_inputs(reader),
        outputs=_once(reader.read_list("outputs", parse_output_glob)),
        needs=_once(reader.read_list("needs", parse_filled_text)),
        needs_from=reader.read(
            "needs-from", lambda value: parse_choice(value, NeedsFrom), NeedsFrom.REFERENCE
        ),
        server=server,
        rules=read_rules(reader.table("compare")),
        seeds=reader.read_list("seeds", parse_seed),
        seed_env=reader.read("seed-env", parse_variable_name, base.seed_env),
    )
    _note_seeds(reader, entry)
    note_secrets(reader, entry, base)
    return entry if server is None else _reachable(reader, entry)


def _note_seeds(reader: TableReader, entry: Entrypoint) -> None:
    """What does not go with seeds, or is missing for them."""
    if "seeds" not in reader.values:
        _note_missing_seeds(reader, entry)
        return
    shown = show(reader.values["seeds"])
    if len(set(entry.seeds)) < len(entry.seeds):
        twice = next(seed for seed in entry.seeds if entry.seeds.count(seed) > 1)
        what = f"has {show(twice)} more than once"
        problem = MlContainerError(what, shown, "seeds count as independent: give each once")
        reader.note("seeds", problem)
    elif len(entry.seeds) < 2 and not isinstance(reader.values["seeds"], list):
        remedy = 'list them: seeds = ["0", "1", "2", "3", "4"]'
        reader.note("seeds", MlContainerError("has to be a list of at least 2", shown, remedy))
    elif len(reader.values["seeds"]) < 2:  # type: ignore[arg-type]
        remedy = "give some more (5 or more to tell anything), or set one by env"
        reader.note("seeds", MlContainerError("has fewer than 2 seeds", shown, remedy))
    if entry.seed_env in dict(entry.env):
        value = f"{entry.seed_env} = {show(dict(entry.env)[entry.seed_env])}"
        remedy = "remove it from env, or name another variable: seed-env"
        problem = MlContainerError(f"set {entry.seed_env}, and env does too", value, remedy)
        reader.note("seeds", problem)


def _note_missing_seeds(reader: TableReader, entry: Entrypoint) -> None:
    if "seed-env" in reader.values:
        remedy = 'add seeds = ["0", "1", "2", "3", "4"], or remove seed-env'
        what = "names the variable for seeds, and there are none"
        reader.note("seed-env", MlContainerError(what, show(reader.values["seed-env"]), remedy))
    for rule in entry.rules:
        margin = rule.tolerance.equivalence
        if margin is not None:
            remedy = (
                'add seeds = ["0", "1", "2", "3", "4"] to the entrypoint, or allow a difference of '
                f"single runs: margin = {margin:g}"
            )
            what = "equivalence is judged over seeds, and the entrypoint has none"
            problem = MlContainerError(what, f"equivalence = {margin:g}", remedy)
            reader.table("compare").note(show_key(str(rule)), problem)


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _read_inputs(reader: TableReader) -> Pairs:
    inputs = reader.read_pairs("inputs", parse_project_path, parse_container_path)
    taken: dict[str, str] = {}
    for source, destination in inputs:
        if destination in taken:
            reader.note(
                f"inputs.{show_key(source)}",
                MlContainerError(
                    f"goes where {show(taken[destination])} goes already",
                    show(destination),
                    "give each input a container path of its own",
                ),
            )
        taken[destination] = source
    return inputs


def _read_server(reader: TableReader) -> Server | None:
    default = Server(port=0)
    server = Server(
        port=reader.read("port", parse_port, 0),
        health=reader.read("health", parse_health, default.health),
        startup_timeout_s=reader.read("startup-timeout", parse_duration, default.startup_timeout_s),
    )
    if "port" in reader.values:
        return server
    for key in ("health", "startup-timeout"):
        if key in reader.values:
            value, remedy = show(reader.values[key]), "add the port it listens on: port = 8000"
            reader.note(
                key, MlContainerError("is for a server, and port is missing", value, remedy)
            )
    return None


def _reachable(reader: TableReader, entry: Entrypoint) -> Entrypoint:
    """The server with a network, which its port needs; and nothing that it cannot have."""
    if entry.outputs:
        reader.note(
            "outputs",
            MlContainerError(
                "a server never ends, so it has no outputs",
                show(reader.values["outputs"]),
                "remove outputs, or remove port if this command ends by itself",
            ),
        )
    for key in ("repeat", "seeds", "vary"):
        if key in reader.values:
            what, value = "a server writes nothing to compare", show(reader.values[key])
            reader.note(key, MlContainerError(what, value, f"remove {key}"))
    if reader.values.get("network") == "none":
        remedy = 'remove it (a server then gets "bridge"), or name a network'
        problem = MlContainerError("without a network nobody reaches port", '"none"', remedy)
        reader.note("network", problem)
    if entry.limits.network == "none":
        return replace(entry, limits=replace(entry.limits, network="bridge"))
    return entry
