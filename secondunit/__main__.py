"""The `secondunit` command, also as `python -m secondunit`; for the daemon, signal handlers stand before all else."""

import sys

from secondunit.daemon.process import signals


def main() -> None:
    """The console script."""
    signals.streams_open()
    if sys.argv[1:2] == ["run"]:
        signals.stand()
    if sys.argv[1:] == ["run"]:  # a daemon holds on to what it imports: nothing that reads command lines
        from secondunit.daemon.foreground import serve

        serve()
    from secondunit.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
