"""Print what one variant of the image installs: the project's dependencies and those of an extra.

Usage: requirements.py cpu|gpu
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
print(*project["dependencies"], *project["optional-dependencies"][sys.argv[1]], sep="\n")
