"""The pages of the documentation, and what they tell their readers to run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Page:
    """A Markdown page."""

    def __init__(self, name: str) -> None:
        """`name`: from the root of the project."""
        self.name = name
        self.path = ROOT / name
        self.text = self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """What stands in its code blocks of a language."""
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)

    def shell_lines(self) -> list[str]:
        """The commands of its shell blocks, continued lines joined, comments cut."""
        joined = "\n".join(self.blocks("sh")).replace("\\\n", " ")
        return [line for raw in joined.splitlines() if (line := raw.split("  #")[0].strip())]

    def commands(self, program: str) -> list[str]:
        """Those of one program."""
        found = [line for line in self.shell_lines() if line.split()[0] == program]
        assert found, f"{self.name} has no {program} command"
        return found

    def links(self) -> list[str]:
        """Where its links and pictures lead, but for those to other sites."""
        targets = re.findall(r"\]\(([^)\s]+)\)", self.text)
        return [target for target in targets if "://" not in target]

    def anchors(self) -> set[str]:
        """The anchors that its headings get."""
        headings = re.findall(r"^#+ (.+)$", self.text, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
