"""What every certificate authority does: its contract (`citadel.authority.Authority`), run against each of them.

An implementation subclasses AuthoritySuite in a test module and overrides the fixture `authority`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from citadel import identity, profile
from citadel.authority import Authority, Issued
from citadel.csr import CsrError
from tests.unit.citadel.requests import FORGED_NAMES, csr, ec_key, rsa_key, with_bad_signature

WEB = identity.workload("cluster.local", "default", "web")
HOUR = timedelta(hours=1)


class AuthoritySuite:
    """`authority` yields one of the trust domain cluster.local, started, whose leaves may live for an hour and more."""

    @pytest.fixture
    def authority(self) -> Authority:
        raise NotImplementedError

    async def test_a_leaf_is_an_x509_svid(self, authority: Authority) -> None:
        key = ec_key()
        leaf = (await authority.sign(csr(key), WEB, HOUR)).chain[0]
        profile.check_leaf(leaf, key.public_key(), WEB, ())
        extensions = leaf.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert [each.value for each in names.value] == [str(WEB)]
        assert names.critical or leaf.subject.rdns
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        assert not constraints.value.ca
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.digital_signature
        assert not usage.value.key_cert_sign
        assert not usage.value.crl_sign
        uses = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert uses == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}

    async def test_the_chain_leads_to_a_root_that_is_trusted(self, authority: Authority) -> None:
        issued = await authority.sign(csr(ec_key()), WEB, HOUR)
        roots = authority.roots()
        assert not set(issued.chain) & set(roots)
        verified = _verify(issued, roots)
        assert verified[-1] in roots
        signing = authority.signing()
        assert signing is not None
        assert verified[1:] == list(signing.chain)

    async def test_an_rsa_key_is_signed_too(self, authority: Authority) -> None:
        key = rsa_key()
        leaf = (await authority.sign(csr(key), WEB, HOUR)).chain[0]
        profile.check_leaf(leaf, key.public_key(), WEB, ())
        assert isinstance(leaf.public_key(), rsa.RSAPublicKey)

    @pytest.mark.parametrize("names", FORGED_NAMES, ids=range(len(FORGED_NAMES)))
    async def test_a_request_s_own_names_count_for_nothing(
        self, authority: Authority, names: tuple[x509.GeneralName, ...]
    ) -> None:
        key = ec_key()
        leaf = (await authority.sign(csr(key, *names, common_name="admin", ca=True), WEB, HOUR)).chain[0]
        profile.check_leaf(leaf, key.public_key(), WEB, ())
        assert "admin" not in leaf.subject.rfc4514_string()

    @pytest.mark.parametrize(
        "text", ["", "garbage", with_bad_signature(csr(ec_key())), csr(ec_key()) + "more", csr(rsa_key(1024))]
    )
    async def test_a_hostile_request_is_refused(self, authority: Authority, text: str) -> None:
        with pytest.raises(CsrError):
            await authority.sign(text, WEB, HOUR)

    async def test_a_leaf_ends_when_it_was_asked_to(self, authority: Authority) -> None:
        before = datetime.now(UTC)
        issued = await authority.sign(csr(ec_key()), WEB, timedelta(minutes=10))
        assert timedelta(minutes=9) < issued.not_after - before < timedelta(minutes=11)
        assert issued.chain[0].not_valid_before_utc <= before - timedelta(minutes=4), "clocks may differ by minutes"

    async def test_a_life_of_a_hundred_years_is_cut_not_refused(self, authority: Authority) -> None:
        issued = await authority.sign(csr(ec_key()), WEB, timedelta(days=36500))
        signing = authority.signing()
        assert signing is not None
        assert issued.not_after <= min(each.not_valid_after_utc for each in signing.chain)

    async def test_a_server_s_further_names(self, authority: Authority) -> None:
        key = ec_key()
        names = ("localhost", "127.0.0.1")
        leaf = (await authority.sign(csr(key), WEB, HOUR, names)).chain[0]
        profile.check_leaf(leaf, key.public_key(), WEB, names)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert found.get_values_for_type(x509.DNSName) == ["localhost"]
        assert [str(each) for each in found.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]

    async def test_many_at_once_get_serial_numbers_of_their_own(self, authority: Authority) -> None:
        request = csr(ec_key())
        found = await asyncio.gather(*(authority.sign(request, WEB, HOUR) for _ in range(50)))
        assert len({each.chain[0].serial_number for each in found}) == 50

    async def test_refreshing_changes_nothing_by_itself(self, authority: Authority) -> None:
        before = authority.roots(), authority.signing()
        await authority.refresh()
        assert (authority.roots(), authority.signing()) == before


def _verify(issued: Issued, roots: tuple[x509.Certificate, ...]) -> list[x509.Certificate]:
    """The path that the library finds, leaf to root; an error if there is none."""
    builder = verification.PolicyBuilder().store(verification.Store(list(roots))).time(datetime.now(UTC))
    policy = verification.ExtensionPolicy
    verifier = builder.extension_policies(ca_policy=policy.webpki_defaults_ca(), ee_policy=policy.permit_all())
    return verifier.build_client_verifier().verify(issued.chain[0], list(issued.chain[1:])).chain
