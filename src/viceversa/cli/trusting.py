"""`viceversa trust`."""

from typing import Annotated, Optional

import typer

from viceversa.cli.words import argument


def trust(module: Annotated[Optional[str], argument("MODULE")] = None) -> None:
    """Let configurations and weights files name code of yours; without MODULE, say which they may.

    A file that names a generator as my_nets:Retint makes us import my_nets. We do so if you have trained with it here,
    or have said so with this command; a stranger's file cannot start anything.

    \b
    viceversa trust my_nets
    """
    from viceversa.registry import trust

    if module is not None:
        typer.echo(f"{trust.trust(module.partition(':')[0])}: may be named by files")
        return
    for home in trust.trusted():
        typer.echo(home)
    typer.echo(f"(kept in {trust.notes()}; take a line out to forget it)", err=True)
