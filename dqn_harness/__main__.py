"""`python -m dqn_harness`: as `dqn-harness`."""

from __future__ import annotations

import sys

from dqn_harness.commands import main

if __name__ == "__main__":
    sys.exit(main())
