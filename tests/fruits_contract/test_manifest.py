"""What a stage leaves behind reads back as what it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_contract.manifest import Finding, Manifest, WrittenFile

counts = st.integers(0, 2**53)
figures = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
manifests = st.builds(
    Manifest,
    stage=st.text(),
    run=st.text(),
    started_at=st.datetimes().map(lambda moment: moment.isoformat()),
    seconds=st.floats(0, 1e6),
    rows_in=counts,
    rows_out=counts,
    rows_rejected=counts,
    files=st.lists(st.builds(WrittenFile, key=st.text(), size_bytes=counts, rows=counts), max_size=3).map(tuple),
    figures=st.dictionaries(st.text(), figures, max_size=3),
    digests=st.dictionaries(st.text(), st.text(), max_size=3),
    findings=st.lists(
        st.builds(Finding, check=st.text(), severity=st.sampled_from(["red", "warning", "info"]), message=st.text()), max_size=3
    ).map(tuple),
)


@given(manifests)
def test_json_brings_back_the_same_manifest(manifest: Manifest) -> None:
    text = manifest.to_json()
    assert Manifest.from_json(text) == manifest
    assert Manifest.from_json(text.encode()) == manifest


def test_json_is_made_to_be_read_by_people_too() -> None:
    text = Manifest("featurize", "r1", "2026-11-22T03:00:00+00:00", 1.5).to_json()
    assert text.endswith("}\n")
    assert text.count("\n") > 10
    assert list(json.loads(text))[:4] == ["stage", "run", "started_at", "seconds"]


def test_only_red_findings_are_red() -> None:
    findings = (Finding("counts", "red", "x"), Finding("drift", "warning", "y"), Finding("reject_ratio", "info", "z"))
    manifest = Manifest("validate", "r1", "2026-11-22T03:00:00+00:00", 1.0, findings=findings)
    assert manifest.red == findings[:1]


def test_a_manifest_of_another_version_is_refused() -> None:
    data = {**json.loads(Manifest("featurize", "r1", "", 0.0).to_json()), "colour": "red"}
    with pytest.raises(TypeError, match="colour"):
        Manifest.from_json(json.dumps(data))
