"""Reports read files, never agents."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import reports
names = [module.name for module in pkgutil.iter_modules(reports.__path__, "reports.")]
for name in names:
    importlib.import_module(name)
print(len(names), sorted({"torch", "gymnasium", "ale_py"} & sys.modules.keys()))
"""


def test_no_module_of_reports_imports_an_agent_or_an_environment():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    count, loaded = done.stdout.strip().split(" ", 1)
    assert int(count) >= 9
    assert loaded == "[]"
