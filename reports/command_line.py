"""What the command lines of the harness share: values from make, parsing, and what to run next."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import io
import itertools
import os
import re
import shlex
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

import tyro

from reports.schema import ExitCode

PROGRAM: Final = "dqn-harness"
# Set by the Makefile: the targets that a reader of our messages can call.
TARGETS: Final = "DQN_HARNESS_TARGETS"
FRAME: Final = re.compile(r"[╭╮╰╯│─]+|-{5,}")

Command = Callable[..., ExitCode]


def with_environment(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Adds the flags that were not given but are set as HARNESS_* variables.

    A front end that must not put values into shell text, such as make, hands them over this way.

    Args:
        arguments: of the command line.
        flags: names such as "game", for `--game` and HARNESS_GAME.
    """
    given = {argument.split("=")[0] for argument in arguments}
    values = {flag: os.environ.get(f"HARNESS_{flag.upper()}") for flag in flags}
    return [
        *arguments,
        *(
            f"--{flag}={value}"
            for flag, value in values.items()
            if value and f"--{flag}" not in given
        ),
    ]


def next_command(command: str, *words: str, **flags: str) -> str:
    """A command for the reader of a message: of make in a checkout, else of the program.

    Args:
        command: of `dqn-harness`, which make's target of that name runs too, if there is one.
        words: that follow it; make takes none.
        flags: such as `fault="no-terminal-mask"`, which make takes as FAULT=.
    """
    targets = os.environ.get(TARGETS, "").split()
    if command in targets and not words:
        values = (f"{name.upper()}={_quoted(value)}" for name, value in flags.items())
        return " ".join(["make", command, *values])
    program = f".venv/bin/{PROGRAM}" if targets else PROGRAM
    options = (f"--{name.replace('_', '-')} {_quoted(value)}" for name, value in flags.items())
    return " ".join([program, command, *words, *options])


def run_command(
    commands: Mapping[str, Command | str], words: Sequence[str], prog: str, called: str = ""
) -> ExitCode:
    """Runs the command that the first word names.

    Args:
        commands: by name; one that is long to import as "module:function".
        words: of the command line.
        prog: how the program is called, before the name of a command.
        called: how the command is called, where it has another name than that.
    """
    if not words or words[0] in {"-h", "--help"}:
        lines = [f"  {name:10}  {_about(_loaded(one))}" for name, one in commands.items()]
        print("\n".join([f"usage: {prog} COMMAND ...", "", *lines]))  # noqa: T201  # help
        return ExitCode.OK if words else ExitCode.USAGE
    if words[0] not in commands:
        nearest = ", ".join(difflib.get_close_matches(words[0], commands, n=3, cutoff=0.0))
        return report_usage(f"unknown command {words[0]!r}\n  nearest   {nearest}", prog)
    return run_function(_loaded(commands[words[0]]), words[1:], called or f"{prog} {words[0]}")


def _loaded(command: Command | str) -> Command:
    if not isinstance(command, str):
        return command
    module, _, name = command.partition(":")
    function: Command = getattr(importlib.import_module(module), name)
    return function


def run_function(function: Command, words: Sequence[str], prog: str) -> ExitCode:
    """Runs a command on the words of its command line.

    Args:
        function: the command; its parameters are the options.
        words: of the command line, after the command's own name.
        prog: how the command is called.

    Returns:
        The function's exit code, or USAGE for words that it does not take.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            call = tyro.cli(
                _deferred(function),
                args=list(words),
                prog=prog,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:  # help was asked for
            return ExitCode.OK
        return report_usage(_of_parser(errors.getvalue()), prog)
    return call()


def report_usage(text: str, prog: str) -> ExitCode:
    """Prints what is wrong with a command line."""
    print(f"error: {text}\n  next      {prog} --help", file=sys.stderr)  # noqa: T201
    return ExitCode.USAGE


def _of_parser(text: str) -> str:
    """What the parser says is wrong, without the box around it, and the flags that were meant."""
    _, *lines = filter(None, (FRAME.sub(" ", line).strip() for line in text.splitlines()))
    lines = [line for line in lines if not line.startswith("For full helptext")]
    error = list(itertools.takewhile(lambda line: not line.startswith("Perhaps you meant"), lines))
    meant = [line.split()[0].strip(",") for line in lines[len(error) :] if line.startswith("-")]
    found = "\n  ".join(error)
    found = found[:1].lower() + found[1:]
    return f"{found}\n  nearest   {', '.join(meant)}" if meant else found


def _deferred(function: Command) -> Callable[..., Callable[[], ExitCode]]:
    """A function of the same parameters that only keeps what it is given.

    So an error in the words is not mistaken for an error while the command runs.
    """

    def deferred(**values: Any) -> Callable[[], ExitCode]:
        return partial(function, **values)

    hints = typing.get_type_hints(function, include_extras=True)
    parameters = [
        parameter.replace(annotation=_named(name, hints[name]))
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    deferred.__doc__ = function.__doc__
    deferred.__name__ = function.__name__
    deferred.__annotations__ = {one.name: one.annotation for one in parameters}
    deferred.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return deferred


def _named(name: str, hint: Any) -> Any:
    """The hint of a parameter, with its name as the placeholder in the help, unless it has one."""
    words = typing.get_args(hint)
    plain = words[0] if typing.get_origin(hint) is Annotated else hint
    if plain is bool or typing.get_origin(plain) is Literal:
        return hint
    if any(getattr(word, "metavar", None) for word in words):
        return hint
    return Annotated[hint, tyro.conf.arg(metavar=name.upper().replace("_", "-"))]


def _about(function: Command) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _quoted(value: str) -> str:
    """As a shell takes it; a placeholder such as RUN or `...` stays as it is."""
    return value if value == "..." else shlex.quote(value)
