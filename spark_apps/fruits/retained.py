"""Which features a run works on: its own, and in a fit all those that were published before.

It must not know Delta: the list of files in the table's current version was written when the run was planned.
"""

import json

from fruits.feature_files import FeatureFile
from fruits.stage_run import StageRun
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE


def features_of_run(run: StageRun) -> list[FeatureFile]:
    """Return the files of features that a stage after featurize works on: in fit mode all retained ones, else this run's.

    A photo that this run featurized anew counts once, with its new features; one that it rejected does not count any more.
    """
    written = [file.key for file in run.manifest_of(FEATURIZE).files]
    own = [FeatureFile(key) for key in written if key.startswith(f"{layout.FEATURES_TABLE}/")]
    if run.params.mode != "fit":
        return own
    same_drop = layout.features_drop(run.params.drop)
    published = json.loads(run.storage.read(layout.retained(run.params.run)))
    return own + [FeatureFile(key, superseded_by=tuple(written) if key.startswith(same_drop) else ()) for key in published]
