"""Run the command as ``python -m anonymi_bids``."""

from anonymi_bids.cli.run import main

if __name__ == "__main__":
    raise SystemExit(main())
