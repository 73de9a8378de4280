"""``python -m taskmedic_cli``."""

from taskmedic_cli.main import main

main()
