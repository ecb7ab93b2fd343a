"""`python -m tw_plugins.cli`: the command `threadweaver`."""

from tw_plugins.cli.app import app

app(prog_name="threadweaver")
