"""Runs svcsim experiments and reads their results.

    import svcsim
    results = svcsim.run("experiments/online-boutique.yaml", "results/mine")
    results.summary.query("metric == 'latency_p99'")

A table is a pandas DataFrame, or a polars one with ``frames="polars"``. The program itself must be installed:
``cargo install --path experiments``, or name its file in the environment variable ``SVCSIM``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["Results", "SvcsimError", "load", "run"]


class SvcsimError(Exception):
    """svcsim refused or failed; the text is its own message."""


class Results:
    """A results directory. Tables are read when they are asked for, by attribute or by :meth:`table`."""

    def __init__(self, directory: str | os.PathLike[str], frames: str = "pandas") -> None:
        self.path = Path(directory)
        if frames not in ("pandas", "polars"):
            raise ValueError(f"frames={frames!r}: expected 'pandas' or 'polars'")
        self._frames = frames
        provenance = self.path / "provenance.json"
        if not provenance.is_file():
            raise SvcsimError(f"{self.path}: no results of svcsim: {provenance.name} is missing")
        #: Digests of all files, version and seed.
        self.provenance: dict[str, Any] = json.loads(provenance.read_text(encoding="utf-8"))
        #: Question, design, set-up, assumptions and warnings.
        self.about: dict[str, Any] = json.loads((self.path / "about.json").read_text(encoding="utf-8"))

    @property
    def tables(self) -> list[str]:
        """The names of all tables."""
        return sorted(p.stem for p in self.path.glob("*.csv"))

    def table(self, name: str) -> Any:
        """A table as a data frame; an empty cell is missing, and names such as ``NaN`` or ``None`` are text."""
        file = self.path / f"{name}.csv"
        if not file.is_file():
            raise SvcsimError(f"{self.path}: no table {name!r}; there are {', '.join(self.tables)}")
        if self._frames == "polars":
            import polars

            return polars.read_csv(file, infer_schema_length=None)
        import pandas

        return pandas.read_csv(file, keep_default_na=False, na_values=[""])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self.table(name)
        except SvcsimError as e:
            raise AttributeError(str(e)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tables]

    def __repr__(self) -> str:
        return f"<svcsim results {str(self.path)!r}: {self.about.get('name', '')}, {len(self.about.get('points', []))} design points>"

    def _repr_html_(self) -> str:
        # Notebooks have their own styles: the report stands in a frame.
        from html import escape

        report = escape((self.path / "report.html").read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{report}" style="width:100%;height:40rem;border:0" title="Report"></iframe>'

    def figure(self, name: str) -> str:
        """The drawing of a figure as SVG text, such as ``latency_ccdf``."""
        file = self.path / "plots" / f"{name}.svg"
        if not file.is_file():
            there = ", ".join(sorted(p.stem for p in file.parent.glob("*.svg")))
            raise SvcsimError(f"{self.path}: no figure {name!r}; there are {there}")
        return file.read_text(encoding="utf-8")

    def changed(self) -> list[str]:
        """Files that are missing or no longer what svcsim wrote, by their digests."""
        def digest(file: Path) -> str:
            return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"

        return [name for name, known in self.provenance["files"].items() if digest(self.path / name) != known]

    def paired(self, a: int, b: int, metric: str, series: str = "all") -> Any:
        """``metric`` at design points ``a`` and ``b`` by replication, with the difference ``b - a``: both met the same arrivals and
        demands, so that differences are compared and not means. Always pandas."""
        import pandas

        runs = pandas.read_csv(self.path / "runs.csv", keep_default_na=False, na_values=[""])
        runs = runs[(runs["metric"] == metric) & (runs["series"] == series)]
        sides = [runs[runs["point"] == point].set_index("replication")["value"] for point in (a, b)]
        if any(side.empty for side in sides):
            raise SvcsimError(f"{self.path}: points {a} and {b} do not both have {metric!r} of {series!r}")
        table = pandas.DataFrame({"a": sides[0], "b": sides[1]}).dropna()
        return table.assign(difference=table["b"] - table["a"])


def load(directory: str | os.PathLike[str], frames: str = "pandas") -> Results:
    """Opens a results directory."""
    return Results(directory, frames)


def run(experiment: str | os.PathLike[str], out: str | os.PathLike[str], *arguments: str, frames: str = "pandas") -> Results:
    """Runs an experiment into the directory ``out`` and opens it; ``arguments`` as on the command line, such as ``"--set",
    "run.duration=20s"``.

    Raises :class:`SvcsimError` with svcsim's message. An expectation of the experiment that failed raises it too; its results are
    there all the same, for :func:`load`."""
    program = os.environ.get("SVCSIM", "svcsim")
    command = [program, "run", os.fspath(experiment), "--quiet", "--out", os.fspath(out), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as e:
        raise SvcsimError(f"{program}: {e.strerror}; install svcsim, or name its file in the environment variable SVCSIM") from None
    if done.returncode != 0:
        raise SvcsimError(done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
    return Results(out, frames)
