"""Subcommands of `plimsoll`, one module each with a click command called `command`."""
