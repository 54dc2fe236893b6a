"""Print the number in each file."""

import glob
import sys

for path in glob.glob(sys.argv[1] + "/*.txt"):
    with open(path) as file:
        print(file.read().strip())
