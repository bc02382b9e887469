"""What differs between the services of two snapshots, in the terms that planning cares for. Pure."""

from __future__ import annotations

from pilot.model.catalog import Catalog
from pilot.model.service import Service, ServiceKey
from pilot.plan.endpoints import needs_dns


def endpoints_only(before: Catalog, after: Catalog) -> frozenset[ServiceKey] | None:
    """The services whose endpoints changed, if nothing else did between the catalogs; else None."""
    changed = after.changed(before)
    old, new = before.services, after.services
    return changed if all(_differ_in_endpoints_only(old.get(key), new.get(key)) for key in changed) else None


def _differ_in_endpoints_only(old: Service | None, new: Service | None) -> bool:
    if old is None or new is None or needs_dns(old) or needs_dns(new):
        return False
    return new.differs_in_endpoints_only(old)
