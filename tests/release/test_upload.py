"""A release is one id, one zip and one card that is written last; a node can be made from it."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from fruits_contract import layout, pipelines
from release import contents, extractor, upload, wheelhouse

INSTALLER = contents.ROOT / "bootstrap" / "install_python.sh"
DIGEST = "0" * 64


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small source tree with the parts that a release has."""
    root = tmp_path / "tree"
    files = {
        "spark_apps/fruits/__init__.py": "",
        "spark_apps/fruits/vision.py": "SIZE = 224\n",
        "spark_apps/fruits/templates/report.html": "<html></html>",
        "spark_apps/fruits/__pycache__/vision.cpython-311.pyc": "bytes",
        "spark_apps/fruits/ruff.toml": "",
        "plugins/fruits_contract/__init__.py": "",
        "bootstrap/install_python.sh": "#!/bin/bash\n",
        "bootstrap/requirements.txt": "six==1.17.0\n",
        "bootstrap/requirements-tensorflow.txt": "six==1.17.0\ntensorflow-cpu==2.21.0\n",
        **{f"spark_apps/{stage.name}.py": f"# {stage.name}\n" for stage in pipelines.STAGES},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> extractor.Extractor:
    """Small replacements for the two slow parts of a release, the exported network and the downloaded wheels."""
    network = extractor.Extractor(DIGEST, DIGEST, "test", "0", 7)
    folder = tmp_path / "extractor"
    folder.mkdir()
    network.path(folder).write_bytes(b"network")
    network.keras_path(folder).write_bytes(b"keras")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("requirements.txt", "a-1-py3-none-any.whl", "b-1-py3-none-any.whl"):
        (wheels / name).write_text(name)
    monkeypatch.setattr(extractor, "ensure", lambda: network)
    monkeypatch.setattr(extractor.Extractor, "path", lambda self: folder / f"{self.digest}.tflite")
    monkeypatch.setattr(extractor.Extractor, "keras_path", lambda self: folder / f"{self.digest}.keras")
    monkeypatch.setattr(wheelhouse, "ensure", lambda requirements: wheels)
    return network


def test_same_content_is_the_same_release(tree: Path) -> None:
    first = contents.collect(DIGEST, root=tree)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1))
    (tree / "spark_apps/fruits/__pycache__/more.pyc").write_text("other")
    assert contents.collect(DIGEST, root=tree) == first
    assert len(first.release) == 12


@pytest.mark.parametrize(
    ("arguments", "requirements"), [([], contents.REQUIREMENTS), (["--tensorflow"], contents.REQUIREMENTS_TENSORFLOW)]
)
def test_print_shows_what_would_be_uploaded(
    arguments: list[str],
    requirements: str,
    parts: extractor.Extractor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["release", "--print", *arguments])
    upload.main()
    made = contents.collect(parts.digest, requirements=requirements)
    assert capsys.readouterr().out.split() == [made.release, *sorted(made.files)]


@pytest.mark.parametrize(
    "name",
    [
        "spark_apps/fruits/vision.py",
        "spark_apps/fruits/templates/report.html",
        "plugins/fruits_contract/__init__.py",
        "spark_apps/featurize.py",
        "bootstrap/install_python.sh",
        "bootstrap/requirements.txt",
    ],
)
def test_a_changed_byte_is_another_release(tree: Path, name: str) -> None:
    first = contents.collect(DIGEST, root=tree)
    path = tree / name
    path.write_text(path.read_text() + " ")
    assert contents.collect(DIGEST, root=tree).release != first.release


def test_another_extractor_is_another_release(tree: Path) -> None:
    assert contents.collect(DIGEST, root=tree).release != contents.collect("1" * 64, root=tree).release


def test_zip_holds_the_two_packages_and_nothing_else(tree: Path) -> None:
    made = contents.collect(DIGEST, root=tree)
    with zipfile.ZipFile(io.BytesIO(made.files[layout.package_zip(made.release)])) as archive:
        assert archive.namelist() == [
            "fruits/__init__.py",
            "fruits/templates/report.html",
            "fruits/vision.py",
            "fruits_contract/__init__.py",
        ]


def test_zip_can_be_imported(tmp_path: Path) -> None:
    made = contents.collect(DIGEST)
    archive = tmp_path / "fruits.zip"
    archive.write_bytes(made.files[layout.package_zip(made.release)])
    command = [sys.executable, "-c", "import fruits, fruits_contract.layout as l; print(fruits.__file__, l.RAW)"]
    done = subprocess.run(command, env={"PYTHONPATH": str(archive)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"{archive}/fruits/__init__.py", "raw/"]


def test_missing_stage_script_is_named(tree: Path) -> None:
    (tree / "spark_apps/fit_pca.py").unlink()
    with pytest.raises(contents.MissingSource, match=r"fit_pca\.py is missing"):
        contents.collect(DIGEST, root=tree)


def test_everything_is_uploaded_and_only_once(tree: Path, parts: extractor.Extractor, s3: S3Client, bucket: str) -> None:
    card = upload.upload_release(bucket, root=tree, say=print)

    stored = {item["Key"]: item for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    models = {layout.extractor(DIGEST), layout.extractor_keras(DIGEST)}
    assert set(stored) == {*card.files, layout.release_card(card.release), *models}
    assert layout.wheels_prefix(card.release) + "requirements.txt" in card.files
    last = max(stored.values(), key=lambda item: item["LastModified"])["LastModified"]
    assert stored[layout.release_card(card.release)]["LastModified"] == last
    assert json.loads(s3.get_object(Bucket=bucket, Key=layout.release_card(card.release))["Body"].read())["files"] == card.files

    messages: list[str] = []
    assert upload.upload_release(bucket, root=tree, say=messages.append) == card
    assert messages == [f"release {card.release}: in the bucket already, nothing uploaded"]


def test_a_release_with_tensorflow_is_another_one(
    tree: Path, parts: extractor.Extractor, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = upload.upload_release(bucket, root=tree, say=print)
    requested: list[Path] = []
    wheels = wheelhouse.ensure(tree)
    monkeypatch.setattr(wheelhouse, "ensure", lambda requirements: requested.append(requirements) or wheels)
    full = upload.upload_release(bucket, root=tree, say=print, tensorflow=True)
    assert requested == [tree / "bootstrap/requirements-tensorflow.txt"]
    assert (plain.tensorflow, full.tensorflow) == (False, True)
    assert plain.release != full.release
    stored = json.loads(s3.get_object(Bucket=bucket, Key=layout.release_card(full.release))["Body"].read())
    assert stored["tensorflow"] is True


def test_wheels_of_the_last_release_are_copied(tree: Path, parts: extractor.Extractor, s3: S3Client, bucket: str) -> None:
    upload.upload_release(bucket, root=tree, say=print)
    (tree / "spark_apps/fruits/vision.py").write_text("SIZE = 225\n")
    messages: list[str] = []
    card = upload.upload_release(bucket, root=tree, say=messages.append)
    total = len(card.files)
    assert f"{total} of {total} files (1 uploaded, {total - 1} copied inside the bucket)" in "\n".join(messages)
    wheel = layout.wheels_prefix(card.release) + "a-1-py3-none-any.whl"
    assert s3.get_object(Bucket=bucket, Key=wheel)["Body"].read() == b"a-1-py3-none-any.whl"


def test_half_an_upload_has_no_card_and_is_repaired(
    tree: Path, parts: extractor.Extractor, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = upload._put

    def failing(client: S3Client, name: str, key: str, source: bytes | Path) -> None:
        if key.endswith("validate.py"):
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "injected"}}, "PutObject")
        put(client, name, key, source)

    monkeypatch.setattr(upload, "_put", failing)
    with pytest.raises(ClientError, match="injected"):
        upload.upload_release(bucket, root=tree, say=print)
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys
    assert not [key for key in keys if key.endswith("release.json")]

    monkeypatch.setattr(upload, "_put", put)
    card = upload.upload_release(bucket, root=tree, say=print)
    s3.head_object(Bucket=bucket, Key=layout.release_card(card.release))


def _install(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(INSTALLER), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
class TestInstallPython:
    """The bootstrap action, really run against a wheelhouse in a bucket."""

    @pytest.fixture(scope="class")
    @staticmethod
    def wheels() -> Path:
        return wheelhouse.ensure(contents.ROOT / contents.REQUIREMENTS)

    @pytest.fixture
    @staticmethod
    def source(wheels: Path, s3: S3Client, bucket: str) -> str:
        for path in wheels.iterdir():
            s3.upload_file(str(path), bucket, layout.wheels_prefix("r1") + path.name)
        return layout.uri(bucket, layout.wheels_prefix("r1"))

    def test_installs_once_and_replaces_a_half_install(self, source: str, tmp_path: Path) -> None:
        target = tmp_path / "opt" / "fruits"
        done = _install(source, str(target))
        assert done.returncode == 0, done.stderr
        assert "Python 3.11" in done.stdout
        imports = "import numpy, PIL, obstore, ai_edge_litert.interpreter, pyarrow, matplotlib, jinja2"
        subprocess.run([str(target / "bin/python"), "-c", imports], check=True)
        assert not [path for path in target.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]

        again = _install(source, str(target))
        assert again.returncode == 0
        assert "complete already" in again.stdout

        shutil.rmtree(target / "lib")
        (target / ".installed").rename(target / ".installing")
        repaired = _install(source, str(target))
        assert repaired.returncode == 0, repaired.stderr
        subprocess.run([str(target / "bin/python"), "-c", imports], check=True)

    def test_two_at_once_take_turns(self, source: str, tmp_path: Path) -> None:
        command = [str(INSTALLER), source, str(tmp_path / "fruits")]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = sorted(process.communicate()[0] for process in running)
        assert [process.returncode for process in running] == [0, 0]
        assert ["complete already" in text for text in outputs] == [True, False]
        assert ["pinned packages" in text for text in outputs] == [False, True]

    def test_broken_wheel_stops_with_a_reason(self, source: str, s3: S3Client, bucket: str, tmp_path: Path) -> None:
        key = next(item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"] if "/numpy-" in item["Key"])
        s3.put_object(Bucket=bucket, Key=key, Body=b"not a wheel")
        target = tmp_path / "fruits"
        done = _install(source, str(target))
        assert done.returncode != 0
        assert "FAILED to install the wheels" in done.stderr
        assert "numpy" in done.stderr
        assert not (target / ".installed").exists()


def test_install_stops_at_a_missing_wheelhouse(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    done = _install(f"s3://{bucket}/code/none/wheels/", str(tmp_path / "fruits"))
    assert done.returncode != 0
    assert "FAILED to fetch s3://" in done.stderr
    assert "404" in done.stderr


def test_install_leaves_foreign_files_alone(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    s3.put_object(Bucket=bucket, Key=layout.wheels_prefix("r1") + "requirements.txt", Body=b"six==1\n")
    (tmp_path / "precious").write_text("kept")
    done = _install(layout.uri(bucket, layout.wheels_prefix("r1")), str(tmp_path))
    assert done.returncode == 1
    assert "not of an earlier install" in done.stderr
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("arguments", [[], ["s3://b/x/"], ["/local/", "/opt/fruits"], ["s3://b/x/", "relative"]])
def test_install_prints_its_usage(arguments: list[str]) -> None:
    done = _install(*arguments)
    assert done.returncode == 1
    assert "expected" in done.stderr
