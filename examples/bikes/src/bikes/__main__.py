"""``python -m bikes``, the same as the console script."""

from bikes.cli import main

raise SystemExit(main())
