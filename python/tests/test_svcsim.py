"""python -m unittest discover python/tests, with SVCSIM naming the program."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "python"))
import svcsim  # noqa: E402

SHIPPED = ROOT / "results" / "online-boutique"


class Loads(unittest.TestCase):
    def test_tables_have_their_columns_and_numbers(self):
        results = svcsim.load(SHIPPED)
        p99 = results.summary.query("metric == 'latency_p99' and series == 'all'")
        self.assertEqual(list(p99["entry"]), [p["label"] for p in results.about["points"]])
        self.assertTrue((p99["ci_low"] < p99["mean"]).all() and (p99["mean"] < p99["ci_high"]).all())
        self.assertIn("latency", results.tables)
        self.assertTrue(results.figure("latency_ccdf").startswith("<svg"))

    def test_pairs_are_of_the_same_replication(self):
        results = svcsim.load(SHIPPED)
        pairs = results.paired(0, 2, "latency_p99")
        runs = results.runs.query("metric == 'latency_p99' and series == 'all' and replication == 3").set_index("point")["value"]
        self.assertEqual(pairs.loc[3, "difference"], runs[2] - runs[0])
        self.assertEqual(len(pairs), results.about["replications"])

    def test_what_was_edited_is_named(self):
        self.assertEqual(svcsim.load(SHIPPED).changed(), [])
        with tempfile.TemporaryDirectory() as folder:
            for name in ("provenance.json", "about.json", "runs.csv"):
                (Path(folder) / name).write_bytes((SHIPPED / name).read_bytes())
            with (Path(folder) / "runs.csv").open("a") as file:
                file.write("edited\n")
            changed = svcsim.load(folder).changed()
            self.assertIn("runs.csv", changed)
            self.assertIn("summary.csv", changed, "missing")
            self.assertNotIn("about.json", changed)

    def test_what_is_not_there_is_told(self):
        with self.assertRaisesRegex(svcsim.SvcsimError, "no results of svcsim"):
            svcsim.load(ROOT / "docs")
        results = svcsim.load(SHIPPED)
        with self.assertRaisesRegex(svcsim.SvcsimError, "no table 'sumary'; there are .*summary"):
            results.table("sumary")
        with self.assertRaisesRegex(AttributeError, "no table"):
            results.sumary
        with self.assertRaisesRegex(svcsim.SvcsimError, "do not both have 'p99'"):
            results.paired(0, 1, "p99")


@unittest.skipUnless("SVCSIM" in os.environ, "SVCSIM names no program")
class Runs(unittest.TestCase):
    def test_an_experiment_runs_and_errors_are_svcsims_own(self):
        with tempfile.TemporaryDirectory() as folder:
            results = svcsim.run(ROOT / "experiments" / "precision.yaml", Path(folder) / "out", "--set", "run.duration=10s", "--set",
                                 "design.precision.most=10")
            self.assertEqual(len(results.about["points"]), 6)
            self.assertEqual(results.changed(), [])
            with self.assertRaisesRegex(svcsim.SvcsimError, "durration"):
                svcsim.run(ROOT / "experiments" / "precision.yaml", Path(folder) / "other", "--set", "run.durration=10s")
            self.assertFalse((Path(folder) / "other").exists())


if __name__ == "__main__":
    unittest.main()
