"""The frame around every command: errors as one line, exit codes, and streams that take any letter."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from cam_core.models.allocator import keep_freed_memory
from cam_core.types import CamError
from cam_core.version import __version__

WRONG_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# The base class of what Typer raises for wrong usage; where it comes from differs from version to version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]


class Program(TyperGroup):
    """A group of commands that ends in an exit code, and in no traceback where the input is to blame."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and leave the process, as `standalone_mode` would, with messages of our own."""
        _take_any_letter()
        keep_freed_memory()
        with warnings.catch_warnings():
            if not sys.warnoptions:  # stderr is for whoever called, and so is -W
                warnings.simplefilter("ignore")
            sys.exit(_exit_code(lambda: super(Program, self).main(args, prog_name, standalone_mode=False, **extra)))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named. Typer itself would end in silence on Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False
) -> None:
    """See which channels and which pixels a convolutional network decides by."""
    if version:
        typer.echo(f"camscope {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _exit_code(run: Callable[[], Any]) -> int:
    try:
        code = run()
        sys.stdout.flush()
    except _UsageError as error:
        _complain(error.format_message())  # type: ignore[attr-defined]
    except CamError as error:
        _complain(". ".join([str(error), *getattr(error, "__notes__", ())]))
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does. Nobody shall hear of it when the interpreter flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    else:
        return code if isinstance(code, int) else 0
    return WRONG_INPUT


def _complain(message: str) -> None:
    """One line on stderr, whatever the message looks like."""
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {' '.join(message.split())}", err=True)


def _take_any_letter() -> None:
    """An alpha on a terminal or in a pipe without Greek becomes a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
