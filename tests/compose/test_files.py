"""What docker-compose.yaml, the Dockerfile and infra/ say, checked without an engine."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fruits_contract.regions import EU_REGIONS
from infra.stacks import BUDGET_REGION
from local import REPO
from local.compose import deploy, env
from local.stack import jars

COMPOSE = (REPO / "docker-compose.yaml").read_text()
TEMPLATES = sorted((REPO / "infra").glob("*.yaml"))
# Photos of people may be among them: what is promised is that each is gone before its 15th day.
PROMISED_DAYS = 15


def test_env_gets_generated_secrets_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    first = env.complete(REPO / ".env.example", target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert all(len(first[name]) >= 12 for name in env.GENERATED)
    assert len({first[name] for name in env.GENERATED}) == len(env.GENERATED)
    before = target.read_bytes()
    assert env.complete(REPO / ".env.example", target) == first
    assert target.read_bytes() == before


def test_env_keeps_what_a_person_wrote_and_gains_what_is_new(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    target.write_text("# mine\nAIRFLOW_PORT=9999\nAIRFLOW_PASSWORD=pear")  # without a final newline, as some editors save it
    found = env.complete(REPO / ".env.example", target)
    assert (found["AIRFLOW_PORT"], found["AIRFLOW_PASSWORD"]) == ("9999", "pear")
    assert found["POSTGRES_PASSWORD"]
    assert target.read_text().startswith("# mine\n")


def test_the_example_explains_every_variable_and_holds_no_secret() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert used == set(env.read(REPO / ".env.example"))
    assert not any(env.read(REPO / ".env.example")[name] for name in env.GENERATED)


def test_defaults_are_the_same_in_both_files() -> None:
    example = env.read(REPO / ".env.example")
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    assert defaults == {name: example[name] for name in defaults}
    assert set(example) - set(defaults) == set(env.GENERATED)


def test_every_published_port_is_on_loopback() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_images_have_no_settings_of_localstack() -> None:
    assert not re.search(r"\bAWS_\w+=", (REPO / "Dockerfile").read_text()), "they are for production as well"


def test_the_jars_of_the_image_are_those_that_spark_is_tested_with() -> None:
    added = re.findall(
        r"--checksum=sha256:([0-9a-f]{64}) https://repo1\.maven\.org/maven2/(\S+\.jar) ", (REPO / "Dockerfile").read_text()
    )
    assert {path: digest for digest, path in added} == jars.pinned("spark35")


@pytest.mark.parametrize("name", ["airflow", "emr", "extractor"])
def test_the_images_have_the_versions_that_the_tests_have(name: str) -> None:
    ours, tested = (
        dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==(\S+)", file.read_text(), re.MULTILINE))
        for file in (REPO / "local" / "compose" / "requirements" / f"{name}.txt", REPO / "requirements.txt")
    )
    assert {package: version for package, version in ours.items() if tested.get(package, version) != version} == {}


def test_nothing_is_deployed_outside_of_the_eu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "fruits-compose")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(SystemExit, match="REGION is 'us-east-1'; expected one in the EU"):
        deploy.main()


def test_the_dockerfile_needs_no_frontend_that_would_have_to_be_pulled() -> None:
    assert "syntax=" not in (REPO / "Dockerfile").read_text()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_cfn_lint_has_nothing_to_say(template: Path) -> None:
    regions = (BUDGET_REGION,) if template.stem == "budget" else EU_REGIONS
    argv = [Path(sys.executable).with_name("cfn-lint"), "--regions", *regions, "--", str(template)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_raw_photo_is_gone_before_its_fifteenth_day() -> None:
    class Loader(yaml.SafeLoader):
        """Reads !Ref and the like as what they hold."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)
    template = yaml.load((REPO / "infra" / "storage.yaml").read_text(), Loader)
    days = template["Parameters"]["RawDays"]
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (raw,) = (rule for rule in rules if rule.get("Prefix") == "raw/")
    # S3 rounds each of the two up to the next midnight: first the photo becomes an earlier version, then that is deleted.
    hidden, deleted = days["MaxValue"] + 1, raw["NoncurrentVersionExpiration"]["NoncurrentDays"] + 1
    assert raw["ExpirationInDays"] == "RawDays" and days["Default"] <= days["MaxValue"]
    assert hidden + deleted < PROMISED_DAYS
