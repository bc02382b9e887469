"""`mesh-adapter cert` with the embedded CA: what is written, what is said, and the exit status."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from citadel import identity, profile
from citadel.attest import Attested
from citadel.attest.static import StaticAttestor
from mesh_adapter.cli import cli
from tests.unit.citadel.ca_sets import DAY, offline_root

WEB = identity.workload("cluster.local", "prod", "web")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["cert", *arguments])


def issue(tmp_path: Path, *arguments: str) -> Result:
    where = ["--ca-dir", str(tmp_path / "ca"), "--out", str(tmp_path / "out")]
    return run("issue", "--namespace", "prod", "--service-account", "web", *where, *arguments)


def test_issue_writes_a_chain_its_key_and_the_root(tmp_path: Path) -> None:
    result = issue(tmp_path, "--ttl", "10m")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{WEB} until ")
    out = tmp_path / "out"
    (leaf,) = x509.load_pem_x509_certificates((out / "cert-chain.pem").read_bytes())
    key = serialization.load_pem_private_key((out / "key.pem").read_bytes(), None)
    (root,) = x509.load_pem_x509_certificates((out / "root-cert.pem").read_bytes())
    profile.check_leaf(leaf, key.public_key(), WEB, ())  # type: ignore[arg-type]
    leaf.verify_directly_issued_by(root)
    assert timedelta(minutes=9) < leaf.not_valid_after_utc - datetime.now(UTC) <= timedelta(minutes=10)
    assert stat.S_IMODE((out / "key.pem").stat().st_mode) == 0o600


def test_issuing_twice_uses_one_root(tmp_path: Path) -> None:
    issue(tmp_path)
    root = (tmp_path / "out" / "root-cert.pem").read_bytes()
    assert issue(tmp_path).exit_code == 0
    assert (tmp_path / "out" / "root-cert.pem").read_bytes() == root


def test_issue_by_an_operator_s_intermediate(tmp_path: Path) -> None:
    given = offline_root()
    given.write(tmp_path / "ca")
    assert issue(tmp_path, "--dns-name", "localhost").exit_code == 0
    leaf, above = x509.load_pem_x509_certificates((tmp_path / "out" / "cert-chain.pem").read_bytes())
    assert above == given.intermediate.certificate
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--ttl", "0"], "not a duration above zero"),
        (["--ttl", "-1h"], "not a duration above zero"),
        (["--ttl", "soon"], "10s, 1h30m or 24h"),
        (["--trust-domain", "Upper"], "write 'upper'"),
        (["--namespace", "a/b"], "namespace 'a/b' can't be part"),
        (["--ca", "none"], "known are embedded"),
        (["--ca-passphrase-file", "/nonexistent"], "No such file"),
    ],
    ids=range(7),
)
def test_misuse_is_exit_status_2(tmp_path: Path, arguments: list[str], reason: str) -> None:
    result = issue(tmp_path, *arguments)
    assert result.exit_code == 2
    assert reason in result.output


def test_a_ca_that_does_not_fit_is_exit_status_1(tmp_path: Path) -> None:
    offline_root().write(tmp_path / "ca")
    (tmp_path / "ca" / "ca-key.pem").write_bytes(profile.key_pem(profile.new_key()))
    result = issue(tmp_path)
    assert result.exit_code == 1
    assert "is not the key of" in result.output
    assert not (tmp_path / "out").exists()


def test_show_says_who_and_until_when(tmp_path: Path) -> None:
    issue(tmp_path)
    result = run("show", str(tmp_path / "out"))
    assert result.exit_code == 0
    header, line = result.output.splitlines()
    assert header.split()[:2] == ["IDENTITY", "OR"]
    assert line.split()[:3] == [str(WEB), "leaf", "yes"]


def test_show_for_programs(tmp_path: Path) -> None:
    issue(tmp_path, "--ttl", "1h")
    (found,) = json.loads(run("show", str(tmp_path / "out"), "-o", "json").output)
    assert found["spiffeId"] == str(WEB)
    assert not found["ca"]
    assert 3500 < found["expiresInSeconds"] <= 3600
    (root,) = yaml.safe_load(run("show", str(tmp_path / "out" / "root-cert.pem"), "-o", "yaml").output)
    assert root["ca"]
    assert root["subject"] == found["issuer"]


def test_an_expired_certificate_is_exit_status_1(tmp_path: Path) -> None:
    old = offline_root(now=datetime.now(UTC) - 40 * DAY)
    (tmp_path / "old.pem").write_text(profile.pem(old.intermediate.certificate))
    result = run("show", str(tmp_path / "old.pem"))
    assert result.exit_code == 1
    assert " NO " in result.output


@pytest.mark.parametrize("text", [None, "", "garbage"])
def test_show_of_no_certificate_names_the_file(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x.pem").write_text(text)
    result = run("show", str(tmp_path / "x.pem"))
    assert result.exit_code == 1
    assert "x.pem" in result.output


def test_a_rotation_by_the_command(tmp_path: Path) -> None:
    where = ("--ca-dir", str(tmp_path / "ca"))
    issue(tmp_path, "--ttl", "1h")
    assert run("status", *where).output.splitlines()[1].startswith("stable: 1 signs")
    first = run("rotate", *where)
    assert first.output.startswith("spreading: 1 signs, 2 is trusted too and signs from ")
    assert run("rotate", *where).output == first.output, "asked again, the same rotation"
    issue(tmp_path)
    roots = x509.load_pem_x509_certificates((tmp_path / "out" / "root-cert.pem").read_bytes())
    assert len(roots) == 2
    switched = run("rotate", "--resume", "--ca-root-spread", "1ms", *where)
    assert switched.output.startswith("draining: 2 signs, 1 stays trusted until ")
    status = json.loads(run("status", "-o", "json", *where).output)
    assert (status["step"], status["active"], status["other"]) == ("draining", "2", "1")
    assert [each["use"] for each in status["certificates"]] == ["signs", "trusted 1", "trusted 2"]


def test_resuming_begins_nothing(tmp_path: Path) -> None:
    result = run("rotate", "--resume", "--ca-dir", str(tmp_path / "ca"))
    assert result.output.startswith("stable: 1 signs")


def test_files_of_an_operator_are_not_rotated_by_us(tmp_path: Path) -> None:
    offline_root().write(tmp_path / "ca")
    result = run("rotate", "--ca-dir", str(tmp_path / "ca"))
    assert result.exit_code == 1
    assert "replace its files" in result.output
    assert "your own CA files" in run("status", "--ca-dir", str(tmp_path / "ca")).output


def test_status_warns_of_a_certificate_that_nobody_replaced(tmp_path: Path) -> None:
    offline_root(now=datetime.now(UTC) - 29 * DAY, life=31 * DAY).write(tmp_path / "ca")
    result = run("status", "--ca-dir", str(tmp_path / "ca"))
    assert result.exit_code == 1
    assert "90%" in result.output


async def test_a_join_token_from_the_command(tmp_path: Path) -> None:
    result = run("join-token", "--service-account", "web", "--join-tokens", str(tmp_path / "tokens"))
    assert result.exit_code == 0
    attestor = StaticAttestor(join_tokens=str(tmp_path / "tokens"))
    assert await attestor.attest(result.output.strip()) == Attested("default", "web")


def test_a_join_token_for_what_is_no_name(tmp_path: Path) -> None:
    assert run("join-token", "--service-account", "a/b", "--join-tokens", str(tmp_path)).exit_code == 2
    assert list(tmp_path.iterdir()) == []
