"""Who is told which secret: by the namespace that was proven, and by what configuration refers to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from galley.config import ConfigObject
from galley.kinds.gateway import Gateway, Server, ServerPort, ServerTLSmode, ServerTLSSettings
from pilot.discovery import Discovery, Subscription
from pilot.envoy.dump import config_dump
from pilot.model.credential import Credential
from pilot.model.snapshot import Snapshot
from pilot.xds.access import Admitted
from pilot.xds.protocol import Node
from pilot.xds.resource import SDS
from tests.unit.pilot.plan.world import service, snapshot

WEB = Credential("WEB CHAIN", "WEB KEY", "WEB CAS")


def gateway(*names: str, namespace: str = "default", of_api: bool = False) -> ConfigObject[Gateway]:
    servers = tuple(
        Server(
            ServerPort(443, "HTTPS", name),
            hosts=(f"{number}.example",),
            tls=ServerTLSSettings(mode=ServerTLSmode.MUTUAL, credential_name=name),
        )
        for number, name in enumerate(names)
    )
    return ConfigObject("Gateway", namespace, "edge", Gateway(servers, of_api=of_api), "edge.yaml:1")


def world(*objects: ConfigObject[Any], **credentials: Credential) -> Snapshot:
    found = snapshot(service("web.example"), *objects)
    by_name = {("other" if name == "foreign" else "default", name): each for name, each in credentials.items()}
    return Snapshot(found.catalog, found.config, credentials=by_name)


def connect(discovery: Discovery, namespace: str = "default", proven: str | None = "default") -> Subscription:
    node = Node(f"router~10.0.0.1~edge.{namespace}~example")
    caller = Admitted("10.0.0.1", proven is not None, proven or "", "edge")
    return discovery.connect(node, caller)


def told(subscription: Subscription) -> list[str]:
    found = subscription.resources()
    assert found is not None
    return sorted(found[SDS].resources)


BOTH = ["kubernetes://web", "kubernetes://web-cacert"]


def test_a_proven_proxy_is_told_what_its_configuration_refers_to_and_nothing_else() -> None:
    discovery = Discovery()
    discovery.publish(world(gateway("web"), web=WEB, unused=WEB, foreign=WEB))
    stream = connect(discovery)
    assert told(stream) == BOTH
    asked = [*BOTH, "kubernetes://unused", "kubernetes://foreign", "kubernetes-gateway://other/foreign", "default"]
    assert dict(stream.withheld(asked)) == {
        "kubernetes://unused": "the proxy's configuration does not refer to it",
        "kubernetes-gateway://other/foreign": "it is of namespace 'other', and the proxy of 'default'",
        "default": "no such secret is handed out here",
    }, "what is not there at all is not withheld"


@pytest.mark.parametrize("proven", [None, "other"])
def test_who_proved_nothing_or_another_namespace_is_told_none(proven: str | None) -> None:
    discovery = Discovery()
    discovery.publish(world(gateway("web"), web=WEB))
    stream = connect(discovery, proven=proven)
    assert told(stream) == []
    assert set(stream.withheld(BOTH)) == set(BOTH)
    assert any("plain text" in each.message for each in discovery.missing_secrets())


def test_the_operator_may_trust_the_plaintext_port() -> None:
    discovery = Discovery(plaintext_secrets=True)
    discovery.publish(world(gateway("web"), web=WEB))
    assert told(connect(discovery, proven=None)) == BOTH


def test_a_gateway_of_another_namespace_means_secrets_of_the_proxys_own() -> None:
    """CVE-2021-34824: a name never leads into the namespace of whoever wrote the Gateway, nor any other."""
    discovery = Discovery()
    discovery.publish(world(gateway("web", "foreign", namespace="other"), web=WEB, foreign=WEB))
    assert told(connect(discovery)) == BOTH
    assert told(connect(discovery, "other", "other")) == ["kubernetes://foreign", "kubernetes://foreign-cacert"]


def test_a_rotated_secret_wakes_its_streams_and_changes_nothing_else() -> None:
    discovery = Discovery()
    before = world(gateway("web"), web=WEB)
    discovery.publish(before)
    stream, woken = connect(discovery), []
    stream.on_change(lambda: woken.append(True))
    old = stream.resources()
    discovery.publish(
        Snapshot(before.catalog, before.config, credentials={("default", "web"): Credential("NEW", "KEY", "WEB CAS")})
    )
    new = stream.resources()
    assert old is not None
    assert new is not None
    assert woken == [True]
    assert {type_url for type_url in old if old[type_url] is not new[type_url]} == {SDS}
    changed = [name for name, each in new[SDS].resources.items() if old[SDS].resources[name] is not each]
    assert changed == ["kubernetes://web"]


def test_a_missing_secret_is_named() -> None:
    discovery = Discovery()
    discovery.publish(world(gateway("web", "lost"), web=WEB))
    connect(discovery)
    found = discovery.missing_secrets()
    assert {each.message for each in found} == {
        "secret default/lost is missing or was never usable",
        "secret default/lost-cacert is missing or was never usable",
    }
    assert {each.object for each in found} == {"Gateway default/edge"}


def test_no_key_is_in_a_dump_nor_in_a_repr() -> None:
    discovery = Discovery()
    discovery.publish(world(gateway("web"), web=WEB))
    stream = connect(discovery)
    resources = discovery.resources_for("router~10.0.0.1~edge.default~example", {})
    assert resources is not None
    dump = json.dumps(config_dump(resources))
    assert "kubernetes://web" in dump
    assert "[redacted]" in dump
    key = "WEB KEY"
    assert key not in dump
    assert b"WEB KEY" in resources[SDS].resources["kubernetes://web"].body
    assert all(key not in text for text in (repr(resources), str(stream.resources()), repr(discovery.snapshot)))
