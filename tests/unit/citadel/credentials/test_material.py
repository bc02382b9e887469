"""Which secrets can be used, and what is said of the others; never the key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from citadel.credentials import LARGEST
from citadel.credentials.material import MaterialError, read
from tests.unit.citadel.credentials.pem import NOW, pair, pem_certificate, pem_key
from tests.unit.citadel.requests import ec_key, rsa_key

GOOD = pair()
OTHER = pair()
OLD = pair(not_after=NOW - timedelta(seconds=1))
_SMALL, _CURVE = rsa_key(1024), ec_key(ec.SECP256K1())


def test_a_pair_of_kubernetes_and_one_of_istio_say_the_same() -> None:
    found = read({**GOOD, "ca.crt": OTHER["tls.crt"]}, NOW)
    generic = {"cert": GOOD["tls.crt"], "key": GOOD["tls.key"], "cacert": OTHER["tls.crt"]}
    assert read(generic, NOW) == found
    assert found.credential.certificate.encode() == GOOD["tls.crt"]
    assert found.not_after == NOW + timedelta(days=9)


def test_cas_may_stand_alone() -> None:
    found = read({"ca.crt": GOOD["tls.crt"]}, NOW)
    assert (found.credential.certificate, bool(found.credential.ca), found.not_after) == ("", True, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "it holds neither tls.crt with tls.key"),
        ({"tls.crt": GOOD["tls.crt"]}, "it has no tls.key"),
        ({"tls.key": GOOD["tls.key"]}, "it has no tls.crt"),
        ({**GOOD, "tls.key": OTHER["tls.key"]}, "tls.key is not the key of the first certificate"),
        ({**GOOD, "tls.key": b"no PEM"}, "tls.key is not an unencrypted private key in PEM"),
        ({**GOOD, "tls.crt": b"no PEM"}, "tls.crt holds no certificates in PEM"),
        ({**GOOD, "tls.crt": b"\xff"}, "tls.crt is not PEM"),
        ({**GOOD, "tls.crt": b"a" * (LARGEST + 1)}, "tls.crt has more than"),
        (OLD, "tls.crt expired at"),
        ({**GOOD, "ca.crt": b"x"}, "ca.crt holds no certificates"),
        ({**GOOD, "ca.crt": OLD["tls.crt"]}, "every certificate in ca.crt is expired"),
        ({**GOOD, "ca.crl": b"x"}, "ca.crl is not a revocation list"),
        ({"tls.crt": pem_certificate(_SMALL), "tls.key": pem_key(_SMALL)}, "tls.key has 1024 bits"),
        ({"tls.crt": pem_certificate(_CURVE), "tls.key": pem_key(_CURVE)}, "tls.key is neither RSA nor of the curves"),
    ],
)
def test_what_can_not_be_used_is_refused_without_a_word_of_the_key(data: dict[str, bytes], message: str) -> None:
    with pytest.raises(MaterialError) as error:
        read(data, NOW)
    assert message in str(error.value)
    assert "PRIVATE" not in str(error.value)


def test_a_key_shows_in_no_repr() -> None:
    found = read(GOOD, NOW)
    assert "PRIVATE" not in repr(found)
