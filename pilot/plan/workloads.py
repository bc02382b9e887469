"""Who can be selected by labels: WorkloadEntries and the platforms' endpoints, by namespace. Pure.

Made once a snapshot by `pilot.plan.config_services`, and only where some ServiceEntry selects. A selector is looked up
by one of its labels, so that many selectors over many endpoints stay cheap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import attrs

from galley.config import Config, ConfigObject
from galley.kinds.workload_entry import WorkloadEntry
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Labels, has_labels

Workload = ConfigObject[WorkloadEntry]
_Label = tuple[str, tuple[str, str]]
"""A namespace and one label."""


@attrs.frozen(eq=False)
class Workloads:
    entries_by_label: Mapping[_Label, list[Workload]]
    endpoints_by_label: Mapping[_Label, list[Endpoint]]

    @classmethod
    def of(cls, catalog: Catalog, config: Config) -> Workloads:
        wanted = {
            (entry.namespace, label)
            for entry in config.service_entries
            if entry.spec.workload_selector
            for label in entry.spec.workload_selector.labels[:1]
        }
        entries: defaultdict[_Label, list[Workload]] = defaultdict(list)
        endpoints: defaultdict[_Label, list[Endpoint]] = defaultdict(list)
        if wanted:
            for workload in config.workload_entries:
                for label in all_labels(workload):
                    entries[workload.namespace, label].append(workload)
            for _, service in sorted(catalog.services.items()):
                for endpoint in service.endpoints:
                    for label in endpoint.labels:
                        if (service.namespace, label) in wanted:
                            endpoints[service.namespace, label].append(endpoint)
        return cls(entries, endpoints)

    def entries(self, namespace: str, labels: Labels) -> list[Workload]:
        """WorkloadEntries that carry all of the labels, by name."""
        found = self.entries_by_label.get((namespace, labels[0]), []) if labels else []
        return [each for each in found if has_labels(all_labels(each), labels)]

    def endpoints(self, namespace: str, labels: Labels) -> list[Endpoint]:
        """The platforms' endpoints that carry all of the labels, by service."""
        found = self.endpoints_by_label.get((namespace, labels[0]), []) if labels else []
        return [each for each in found if has_labels(each.labels, labels)]


def all_labels(workload: Workload) -> Labels:
    """Those of the object's metadata, and those of its spec, which hold where both name one."""
    return tuple(sorted(dict((*workload.labels, *workload.spec.labels)).items()))
