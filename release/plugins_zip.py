"""Builds plugins.zip: the folder plugins/ as Amazon MWAA takes it (PluginsS3Path). Run as `python -m release.plugins_zip`."""

import argparse
from pathlib import Path

from release import contents

PACKAGES = ("fruits_airflow", "fruits_contract")
# Code, and the pages' templates, style and script.
SUFFIXES = (".py", ".html", ".css", ".js")
# Airflow runs every module of its plugins folder as a plugin, but for what this file names.
IGNORE = ".airflowignore"
PLUGIN = "fruits_ui_plugin.py"
TARGET = contents.ROOT / "out" / "plugins.zip"


def build(target: Path = TARGET, *, root: Path = contents.ROOT) -> Path:
    """Write the archive and return its path; the same files give the same bytes.

    Raises
    ------
    MissingSource
        When a package, the plugin or the list of what is no plugin is missing.
    """
    folder = root / "plugins"
    files = {name: contents.read(folder / name) for name in (IGNORE, PLUGIN)}
    for package in PACKAGES:
        contents.read(folder / package / "__init__.py")
        found = (path for path in (folder / package).rglob("*") if path.suffix in SUFFIXES)
        files |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(contents.zipped(files))
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m release.plugins_zip", description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET, metavar="FILE", help="default: %(default)s")
    print(build(parser.parse_args().out))
