"""`python -m ops` is `opsledger`."""

from ops.cli import main

main()
