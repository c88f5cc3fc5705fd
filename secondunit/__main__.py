"""`python -m secondunit` is the `secondunit` command."""

from secondunit.cli.main import main

if __name__ == "__main__":
    main()
